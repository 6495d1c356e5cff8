"""The values of a new gift, and the external IDs that imports choose."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId

from documents.values.address import to_canonical, to_mailbox
from documents.values.donation_state import ANONYMOUS_DONOR_NAME
from documents.values.time import now

MAX_REFERENCE_LENGTH = 1000
# Clients cannot send this control character, so their external IDs never begin with it.
IMPORT_ID_PREFIX = "\x1f"


class NewGift(TypedDict):
    """The arguments of `Donation.give`."""

    fundraiser_id: ObjectId
    amount: int
    currency: str
    donor_name: NotRequired[str]
    donor_email: NotRequired[str]
    status: NotRequired[str]
    email_ref: NotRequired[str | None]
    external_id: NotRequired[str | None]
    recurring_id: NotRequired[str | None]
    donated_at: NotRequired[datetime | None]


def read_gift(values: Mapping[str, Any]) -> NewGift:
    """Return the arguments of `Donation.give` from the fields of a donation in the API."""
    donor = values.get("donor") or {}
    return {
        "fundraiser_id": values["fundraiser_id"],
        "amount": values["amount"],
        "currency": values["currency"],
        "donor_name": donor.get("name", ANONYMOUS_DONOR_NAME),
        "donor_email": donor.get("email") or "",
        "status": values.get("status", "succeeded"),
        "email_ref": values.get("email_id"),
        "external_id": values.get("external_id"),
        "recurring_id": values.get("recurring_id"),
        "donated_at": values.get("donated_at"),
    }


def build_gift_values(gift: NewGift) -> dict[str, Any]:
    """Return the stored fields of a new gift."""
    email = gift.get("donor_email", "")
    return {
        "fundraiser_id": gift["fundraiser_id"],
        "amount": gift["amount"],
        "currency": gift["currency"],
        "donor_name": gift.get("donor_name", ANONYMOUS_DONOR_NAME),
        "donor_email": email,
        "donor_address": to_canonical(email) or None,
        "donor_mailbox": to_mailbox(email) or None,
        "email_ref": _cut_reference(gift.get("email_ref")),
        "recurring_id": gift.get("recurring_id"),
        "status": gift.get("status", "succeeded"),
        "external_id": gift.get("external_id"),
        "donated_at": gift.get("donated_at") or now(),
    }


def hide_import_id(external_id: str | None) -> str | None:
    """Return the external ID as clients know it: None if an import chose it."""
    if external_id is None or external_id.startswith(IMPORT_ID_PREFIX):
        return None
    return external_id


def _cut_reference(email_ref: str | None) -> str | None:
    """Cut the reference and make it valid UTF-8. A bad reference must not block the gift."""
    if email_ref is None:
        return None
    return email_ref[:MAX_REFERENCE_LENGTH].encode("utf-8", "replace").decode()
