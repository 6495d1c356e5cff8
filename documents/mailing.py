"""Mailing: one send of one message to many users, for a fundraiser."""

from typing import Any, Self

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ObjectIdField, StringField

from documents.fundraiser import Fundraiser
from documents.shared_counters import SharedCounters
from documents.storage.marks import due_index, failed_index
from documents.storage.record import CountedRecord, Record
from documents.values.money import to_money, to_money_fields


class Mailing(CountedRecord, SharedCounters, Record):
    """A send, with its totals. Its cost is added to the fundraiser's cost."""

    fundraiser_id = ObjectIdField(required=True)
    name = StringField(required=True)
    subject = StringField()
    sent_at = DateTimeField()
    cost_amount = IntField()
    cost_currency = StringField()

    meta = {
        "collection": "mailings",
        "indexes": [
            ["organization_id", "id"],
            ["organization_id", "name", "id"],
            ["organization_id", "sent_at", "id"],
            ["organization_id", "donations_count", "id"],
            ["organization_id", "emails_count", "id"],
            ["fundraiser_id", "id"],
            due_index("fundraiser_id"),
            failed_index(),
        ],
    }

    @property
    def price(self) -> dict[str, Any] | None:
        """Cost of the send, as money. `cost` is the counter of that name."""
        return to_money(self.cost_amount, self.cost_currency)

    @classmethod
    def create(
        cls, organization_id: ObjectId, values: dict[str, Any], id_: ObjectId | None = None
    ) -> Self:
        """Add a mailing.

        Raises:
            Unacceptable: the fundraiser does not exist.
        """
        Fundraiser.named(organization_id, values["fundraiser_id"])
        fields = to_money_fields(values, "cost")
        mailing = cls(id=id_, organization_id=organization_id, **fields)
        return mailing.start_journal().insert()

    def amend(self, changes: dict[str, Any]) -> Self:
        """Change the fields that clients may change. A mailing's fundraiser never changes."""

        def edit(mailing: Self) -> None:
            for name, value in to_money_fields(changes, "cost").items():
                setattr(mailing, name, value)

        return self.change(edit)
