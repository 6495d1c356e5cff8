"""A donor: one person's giving to one fundraiser or mailing. Reports count people by it."""

from typing import Any

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ListField, ObjectIdField, StringField

from documents.rows.donation import DonationRow, DonorRow
from documents.storage.base import Document
from documents.values.address import pseudonym


class Donor(Document):
    """Comes into being with the first gift and contributes one donor while a gift counts.

    The id says whose giving to what: "fundraiser:<id>:<person>" or "mailing:<id>:<person>".
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


def donor_id(kind: str, of: ObjectId, gift: DonationRow) -> str:
    """The Donor a gift counts for: its user, or while none is known, whoever has the mailbox.

    An anonymous gift, of which no address is known, is a donor of its own.
    """
    mailbox = gift.get("donor_mailbox")
    person = gift.get("user_id") or (pseudonym(mailbox) if mailbox else gift["_id"])
    return f"{kind}:{of}:{person}"


def new_donor(id_: Any) -> DonorRow:
    """The row of a donor who gives for the first time."""
    kind, of, _ = id_.split(":")
    if kind == "fundraiser":
        return {"_id": id_, "fundraiser_id": ObjectId(of)}
    return {"_id": id_, "mailing_id": ObjectId(of)}
