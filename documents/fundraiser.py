"""Fundraiser: a cause or campaign for which an organization raises money."""

from typing import Any, Self

from bson import ObjectId
from mongoengine import DateTimeField, IntField, StringField

from documents.errors import NotFound, Unacceptable
from documents.shared_counters import SharedCounters
from documents.storage.export_outbox import EXPORT_INDEX, Exported
from documents.storage.process_cache import ProcessCache
from documents.storage.record import Record
from documents.values.money import to_money, to_money_fields

_known = ProcessCache[tuple[ObjectId, ObjectId], bool]()


class Fundraiser(Exported, SharedCounters, Record):
    """A campaign, with the totals of its mailings, emails and donations."""

    name = StringField(required=True)
    goal_amount = IntField()
    goal_currency = StringField()
    starts_at = DateTimeField()
    ends_at = DateTimeField()

    meta = {
        "collection": "fundraisers",
        "indexes": [
            EXPORT_INDEX,
            ["organization_id", "id"],
            ["organization_id", "name", "id"],
            ["organization_id", "donations_count", "id"],
            ["organization_id", "emails_count", "id"],
        ],
    }

    @property
    def goal(self) -> dict[str, Any] | None:
        """Amount that the fundraiser aims to raise, as money."""
        return to_money(self.goal_amount, self.goal_currency)

    @classmethod
    def create(
        cls, organization_id: ObjectId, values: dict[str, Any], id_: ObjectId | None = None
    ) -> Self:
        """Add a fundraiser."""
        fields = to_money_fields(values, "goal")
        fundraiser = cls(id=id_, organization_id=organization_id, **fields)
        fundraiser.check_times()
        return fundraiser.start_journal().insert()

    @classmethod
    def named(cls, organization_id: ObjectId, id_: ObjectId) -> Self:
        """Return the fundraiser that a new record names.

        Raises:
            Unacceptable: the fundraiser does not exist.
        """
        try:
            return cls.fetch(organization_id, id_)
        except NotFound:
            raise _unknown() from None

    @classmethod
    def expect(cls, organization_id: ObjectId, id_: ObjectId) -> None:
        """Check that a gift's fundraiser exists.

        Processes cache this, because gifts come in bursts.

        For 0.8 s after a deletion, another process may accept the fundraiser. A fundraiser with
        gifts cannot be deleted, so no counter depends on the cache.

        Raises:
            Unacceptable: the fundraiser does not exist.
        """
        if not _known.get((organization_id, id_)):
            query = {"_id": id_, "organization_id": organization_id, "deleted_at": None}
            if cls._get_collection().find_one(query, {"_id": 1}) is None:
                raise _unknown()
            _known.put((organization_id, id_), True)

    def mark_deleted(self, **also: Any) -> None:
        super().mark_deleted(**also)
        _known.forget((self.organization_id, self.id))

    def check_times(self) -> None:
        """Check that the end is not before the start.

        Raises:
            Unacceptable: the end is before the start.
        """
        if self.starts_at and self.ends_at and self.ends_at < self.starts_at:
            raise Unacceptable("/ends_at", "order", "Must not be before starts_at.")

    def amend(self, changes: dict[str, Any]) -> Self:
        """Change the fields that clients may change."""

        def edit(fundraiser: Self) -> None:
            for name, value in to_money_fields(changes, "goal").items():
                setattr(fundraiser, name, value)
            fundraiser.check_times()

        return self.change(edit)


def _unknown() -> Unacceptable:
    return Unacceptable("/fundraiser_id", "not_found", "Must be the ID of a fundraiser.")
