"""The reference to an email in a giving link or event: its token, its ID, nothing, or garbage."""

import re
from itertools import chain
from typing import Literal

from bson import ObjectId

from documents.giving_links.damaged_links import find_email_ids, find_token_candidates
from documents.giving_links.link_token import open_first_token

EmailReference = tuple[ObjectId, Literal["link_token", "email_id"]]

PLAIN_EMAIL_ID_PATTERN = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)


def parse_email_id(reference: str | None) -> ObjectId | None:
    """Return the id that a reference is, or None for anything else."""
    text = (reference or "").strip()
    return ObjectId(text) if PLAIN_EMAIL_ID_PATTERN.fullmatch(text) else None


def resolve_reference(organization_id: ObjectId, reference: str | None) -> EmailReference | None:
    """Return the id of the email that is named, and how; None for blank, forged and garbage alike.

    What mail programs and copying add around a reference does not hide it. A token proves itself.
    An id proves nothing, so it counts only when the text holds no other. Whether there is such an
    email, and whose it is, is for the caller to find out.
    """
    if (id_ := parse_email_id(reference)) is not None:
        return id_, "email_id"
    text = (reference or "").strip()
    if not text:
        return None
    if (
        opened := open_first_token(organization_id, chain([text], find_token_candidates(text)))
    ) is not None:
        return opened, "link_token"
    ids = find_email_ids(text)
    return (ObjectId(ids.pop()), "email_id") if len(ids) == 1 else None
