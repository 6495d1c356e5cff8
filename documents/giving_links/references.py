"""References to emails in giving links and events: a token, an ID, or unusable text."""

import re
from itertools import chain
from typing import Literal

from bson import ObjectId

from documents.giving_links.damaged_links import find_email_ids, find_token_candidates
from documents.giving_links.link_token import open_first_token

EmailReference = tuple[ObjectId, Literal["link_token", "email_id"]]

PLAIN_EMAIL_ID_PATTERN = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)


def parse_email_id(reference: str | None) -> ObjectId | None:
    """Return the ID if the reference is exactly an ID; None otherwise."""
    text = (reference or "").strip()
    return ObjectId(text) if PLAIN_EMAIL_ID_PATTERN.fullmatch(text) else None


def resolve_reference(organization_id: ObjectId, reference: str | None) -> EmailReference | None:
    """Return the ID of the named email and the kind of reference; None if there is none.

    Mail programs may add text around a reference. A token proves itself. An ID proves nothing, so
    it counts only if the text contains no other ID. The caller must check that the email exists
    and belongs to the organization.
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
