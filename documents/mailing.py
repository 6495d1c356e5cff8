"""Mailing: one send of one message to many users, for a fundraiser."""

from datetime import datetime
from typing import Any, Self

from bson import ObjectId
from mongoengine import DateTimeField, DictField, IntField, ListField, ObjectIdField, StringField

from documents.former_cost import find_cost_at, keep_latest_costs
from documents.fundraiser import Fundraiser
from documents.shared_counters import SharedCounters
from documents.storage.marks import due_index, failed_index
from documents.storage.record import CountedRecord, Record
from documents.values.money import to_money, to_money_fields
from documents.values.time import now
from matchback.engine import Tx


class Mailing(CountedRecord, SharedCounters, Record):
    """A send, with its totals. Its cost is added to the fundraiser's cost.

    former_costs: the latest earlier costs, oldest first, for reports of earlier times; see
    documents/former_cost.py.
    """

    fundraiser_id = ObjectIdField(required=True)
    name = StringField(required=True)
    subject = StringField()
    sent_at = DateTimeField()
    cost_amount = IntField()
    cost_currency = StringField()
    experiment = DictField(default=None)  # its definition; see documents/experiment.py
    windows_due = DateTimeField()  # its time has changed; see outcomes/windows.py
    former_costs = ListField(DictField())

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

    @property
    def total_cost(self) -> dict[str, int]:
        """Cost of the send in minor units, by currency."""
        return _by_currency(self.cost_amount, self.cost_currency)

    def read_cost_at(self, tx: Tx, at: datetime) -> dict[str, int]:
        """Return the cost that the mailing had at a time, by currency.

        Args:
            tx: the context in which this mailing was read, which must be a snapshot.
        """
        former = find_cost_at(tx, self.id, self.former_costs, at)
        if former is None:
            return self.total_cost
        return _by_currency(former["amount"], former["currency"])

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
            is_started = "started_at" in (mailing.experiment or {})
            if is_started and changes.get("sent_at") not in (None, mailing.sent_at):
                mailing.windows_due = now()
            before = {"amount": mailing.cost_amount, "currency": mailing.cost_currency}
            for name, value in to_money_fields(changes, "cost").items():
                setattr(mailing, name, value)
            if before != {"amount": mailing.cost_amount, "currency": mailing.cost_currency}:
                costs = [*mailing.former_costs, {"until": now(), **before}]
                mailing.former_costs = keep_latest_costs(mailing.organization_id, mailing.id, costs)

        return self.change(edit)


def _by_currency(amount: int | None, currency: str | None) -> dict[str, int]:
    return {currency: amount} if amount and currency else {}
