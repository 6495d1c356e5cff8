"""What a giving link or an event carried to name an email: its token, its id, nothing, garbage."""

from typing import Literal

from bson import ObjectId

from documents.link_token import open_token

Reference = tuple[ObjectId, Literal["link_token", "email_id"]]


def email_id_of(reference: str | None) -> ObjectId | None:
    """The id that a reference is, or None for anything else."""
    text = (reference or "").strip()
    return ObjectId(text) if len(text) == 24 and ObjectId.is_valid(text) else None


def resolve(organization_id: ObjectId, reference: str | None) -> Reference | None:
    """The id of the email that is named, and how; None for blank, forged and garbage alike.

    Whether there is such an email, and whose it is, is for the caller to find out.
    """
    if (id_ := email_id_of(reference)) is not None:
        return id_, "email_id"
    opened = open_token(organization_id, (reference or "").strip())
    return (opened, "link_token") if opened is not None else None
