"""Donor: one person's giving to one fundraiser or mailing. Reports count people by donors."""

from typing import Any

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ListField, ObjectIdField, StringField

from documents.rows.donation import DonationRow, DonorRow
from documents.storage.base import Document
from documents.values.address import pseudonymize_address


class Donor(Document):
    """A donor. The first gift creates it, and it counts as one donor while it has a counted gift.

    The ID names the fundraiser or mailing, and the person: "fundraiser:<id>:<person>" or
    "mailing:<id>:<person>".
    """

    id = StringField(primary_key=True)
    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    donations_count = IntField(default=0)
    counted = ListField()
    due = DateTimeField()

    meta = {
        "collection": "donors",
        "auto_create_index": False,
        "indexes": ["fundraiser_id", "mailing_id"],
    }


def make_donor_id(kind: str, of: ObjectId, gift: DonationRow) -> str:
    """Return the ID of the donor that a gift counts for: its user, or its mailbox if unknown.

    A gift without an address has a donor of its own.
    """
    mailbox = gift.get("donor_mailbox")
    person = gift.get("user_id") or (pseudonymize_address(mailbox) if mailbox else gift["_id"])
    return f"{kind}:{of}:{person}"


def build_donor_row(id_: Any) -> DonorRow:
    """Return the row of a new donor."""
    kind, of, _ = id_.split(":")
    if kind == "fundraiser":
        return {"_id": id_, "fundraiser_id": ObjectId(of)}
    return {"_id": id_, "mailing_id": ObjectId(of)}
