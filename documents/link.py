"""The links of a mailing, with the number of clicks and of people who clicked.

A link's address differs for each recipient, because it identifies them. `link_of` removes that
part, so a mailing has as many links as its message.
"""

import hashlib
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ListField, ObjectIdField, StringField

from documents.rows.email import EmailRow
from documents.storage.base import Document
from documents.storage.tenancy import OWNED
from matchback.engine import Target

ID_BYTES = 12
PERSONAL_NAMES = frozenset({"email_id", "link_token", "email", "token", "user_id", "uid"})
# As long as a name of a campaign is not, and with a digit: made for one recipient.
TOKEN = re.compile(r"(?=.*\d)[\w\-.~=+/%]{16,}")


class Link(Document):
    """A link of a mailing, made with its first click. Its id is a digest of both."""

    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    url = StringField()
    clicks = IntField(default=0)
    emails = IntField(default=0)
    machine_clicks = IntField(default=0)

    meta = {
        "collection": "links",
        **OWNED,
        "auto_create_index": False,
        "indexes": [
            "fundraiser_id",
            ["mailing_id", "emails", "id"],
            ["mailing_id", "clicks", "id"],
        ],
    }

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Those that were clicked; a deleted email takes its clicks back."""
        return {**given, "$or": [{"clicks": {"$gt": 0}}, {"machine_clicks": {"$gt": 0}}]}


class LinkClicks(Document):
    """One email's clicks on one link: so that emails, not clicks, can be counted."""

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


def link_of(url: str) -> str:
    """The link that a clicked address is one recipient's form of. What is no address is kept."""
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
    return name.lower() in PERSONAL_NAMES or "@" in value or bool(TOKEN.fullmatch(value))


def clicker_id(email_id: ObjectId, url: str) -> ObjectId:
    """Whose clicks on what."""
    return _digest(email_id, link_of(url))


def new_link_and_clicker(email: EmailRow, url: str) -> dict[Target, dict[str, Any]]:
    """What both hold besides their counters, should this click be the first."""
    link = link_of(url)
    of = {name: email[name] for name in ("organization_id", "fundraiser_id", "mailing_id")}
    link_id = _digest(email["mailing_id"], link)
    clicker = {**of, "email_id": email["_id"], "link_id": link_id}
    return {
        ("links", link_id): {**of, "url": link},
        ("clickers", clicker_id(email["_id"], url)): clicker,
    }


def new_row(id_: ObjectId) -> dict[str, Any]:
    """A link or clicker before anything is known of it."""
    return {"_id": id_}


def _digest(of: ObjectId, link: str) -> ObjectId:
    return ObjectId(hashlib.blake2b(of.binary + link.encode(), digest_size=ID_BYTES).digest())
