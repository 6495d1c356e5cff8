"""State of the warehouse export, for readers that do not query the warehouse."""

from typing import Any, Self

from mongoengine import BooleanField, DateTimeField, ListField, StringField, get_db

from documents.storage.base import Document
from documents.values.time import now

WAREHOUSE_STATE_ID = "warehouse"


class WarehouseState(Document):
    """The only record. The exporter writes it; `anew` requests a new backfill."""

    name = StringField(primary_key=True)
    exported_at = DateTimeField()  # time of the last successful export
    error = StringField()
    error_at = DateTimeField()
    backfill = ListField()  # for each table: {"table", "copied", "total", "finished"}
    anew = BooleanField()

    meta = {"collection": "warehouse_state", "auto_create_index": False}

    @classmethod
    def current(cls) -> Self:
        """Return the state; blank before the first export."""
        return cls.objects(name=WAREHOUSE_STATE_ID).first() or cls(name=WAREHOUSE_STATE_ID)

    @classmethod
    def note(cls, *, error: str | None, backfill: list[dict[str, Any]]) -> None:
        """Store the result of an export."""
        values: dict[str, Any] = {"backfill": backfill, "error": error}
        values |= {"error_at": now()} if error else {"exported_at": now()}
        get_db().warehouse_state.update_one(
            {"_id": WAREHOUSE_STATE_ID}, {"$set": values}, upsert=True
        )

    @classmethod
    def request_refill(cls) -> None:
        """Request that the exporter fill every table again."""
        get_db().warehouse_state.update_one(
            {"_id": WAREHOUSE_STATE_ID}, {"$set": {"anew": True}}, upsert=True
        )

    @classmethod
    def accept_refill(cls) -> None:
        """Remove the request, because the exporter has begun the backfill."""
        blank = {"$unset": {"anew": ""}, "$set": {"backfill": []}}
        get_db().warehouse_state.update_one({"_id": WAREHOUSE_STATE_ID}, blank)

    @property
    def is_filled(self) -> bool:
        """True if the backfill of every table has finished."""
        return bool(self.backfill) and all(one["finished"] for one in self.backfill)
