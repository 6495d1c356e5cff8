"""Links of a mailing, with the number of clicks and of people who clicked.

A link's URL differs for each recipient, because it identifies the recipient. `normalize_link`
removes that part, so a mailing has as many links as its message.
"""

import hashlib
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ListField, ObjectIdField

from documents.rows.email import EmailRow
from documents.storage.base import Document
from documents.storage.personal_data import PersonalUrlField
from documents.storage.tenancy import OWNED_META
from matchback.engine import Target

LINK_ID_BYTES = 12
PERSONAL_PARAMETER_NAMES = frozenset(
    {"email_id", "link_token", "trap_token", "email", "token", "user_id", "uid"}
)
# A text that is too long for a campaign name and has a digit identifies a recipient.
PERSONAL_TOKEN_PATTERN = re.compile(r"(?=.*\d)[\w\-.~=+/%]{16,}")


class Link(Document):
    """A link of a mailing.

    The first click creates it. Its ID is a digest of the mailing and the URL.
    """

    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    url = PersonalUrlField()
    clicks = IntField(default=0)
    emails = IntField(default=0)
    machine_clicks = IntField(default=0)

    meta = {
        "collection": "links",
        **OWNED_META,
        "auto_create_index": False,
        "indexes": [
            "fundraiser_id",
            ["mailing_id", "emails", "id"],
            ["mailing_id", "clicks", "id"],
        ],
    }

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Limit a list to links with clicks. Deleting an email can remove a link's last click."""
        return {**given, "$or": [{"clicks": {"$gt": 0}}, {"machine_clicks": {"$gt": 0}}]}


class LinkClicks(Document):
    """One email's clicks on one link. It lets a link count emails as well as clicks."""

    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    email_id = ObjectIdField()
    link_id = ObjectIdField()
    clicks = IntField(default=0)
    machine_clicks = IntField(default=0)
    counted = ListField()
    due = DateTimeField()
    deleted_at = DateTimeField()

    meta = {
        "collection": "clickers",
        "auto_create_index": False,
        "indexes": ["fundraiser_id", "email_id", "link_id"],
    }


def normalize_link(url: str) -> str:
    """Remove the parts of a URL that identify a recipient. Return an invalid URL unchanged."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    kept = [(name, value) for name, value in kept if not _is_personal(name, value)]
    query = urlencode(kept) if kept else ""
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path, query, ""))


def _is_personal(name: str, value: str) -> bool:
    if name.lower().startswith("utm_"):
        return False
    return (
        name.lower() in PERSONAL_PARAMETER_NAMES
        or "@" in value
        or bool(PERSONAL_TOKEN_PATTERN.fullmatch(value))
    )


def make_link_clicks_id(email_id: ObjectId, url: str) -> ObjectId:
    """Return the ID of an email's clicks on a link."""
    return _digest(email_id, normalize_link(url))


def build_link_values(email: EmailRow, url: str) -> dict[Target, dict[str, Any]]:
    """Return the fields besides counters of the link and of the email's clicks on it."""
    link = normalize_link(url)
    of = {name: email[name] for name in ("organization_id", "fundraiser_id", "mailing_id")}
    link_id = _digest(email["mailing_id"], link)
    clicker = {**of, "email_id": email["_id"], "link_id": link_id}
    return {
        ("links", link_id): {**of, "url": link},
        ("clickers", make_link_clicks_id(email["_id"], url)): clicker,
    }


def build_link_row(id_: ObjectId) -> dict[str, Any]:
    """Return the row of a new link or clicker."""
    return {"_id": id_}


def _digest(of: ObjectId, link: str) -> ObjectId:
    return ObjectId(hashlib.blake2b(of.binary + link.encode(), digest_size=LINK_ID_BYTES).digest())
