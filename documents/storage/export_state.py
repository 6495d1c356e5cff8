"""The state of the warehouse export, for readers that do not query the warehouse."""

from typing import Any, Self

from mongoengine import BooleanField, DateTimeField, ListField, StringField, get_db

from documents.storage.base import Document
from documents.values.time import now

WAREHOUSE_STATE_ID = "warehouse"


class WarehouseState(Document):
    """One record. The exporter writes it; `anew` is a request to it."""

    name = StringField(primary_key=True)
    exported_at = DateTimeField()  # when it last was up to date with what it had read
    error = StringField()
    error_at = DateTimeField()
    backfill = ListField()  # of each table: {"table", "copied", "total", "finished"}
    anew = BooleanField()

    meta = {"collection": "warehouse_state", "auto_create_index": False}

    @classmethod
    def current(cls) -> Self:
        """As it stands; blank before the first export."""
        return cls.objects(name=WAREHOUSE_STATE_ID).first() or cls(name=WAREHOUSE_STATE_ID)

    @classmethod
    def note(cls, *, error: str | None, backfill: list[dict[str, Any]]) -> None:
        """Say how an export ended."""
        values: dict[str, Any] = {"backfill": backfill, "error": error}
        values |= {"error_at": now()} if error else {"exported_at": now()}
        get_db().warehouse_state.update_one(
            {"_id": WAREHOUSE_STATE_ID}, {"$set": values}, upsert=True
        )

    @classmethod
    def request_refill(cls) -> None:
        """Have everything filled once more."""
        get_db().warehouse_state.update_one(
            {"_id": WAREHOUSE_STATE_ID}, {"$set": {"anew": True}}, upsert=True
        )

    @classmethod
    def accept_refill(cls) -> None:
        """It has begun."""
        blank = {"$unset": {"anew": ""}, "$set": {"backfill": []}}
        get_db().warehouse_state.update_one({"_id": WAREHOUSE_STATE_ID}, blank)

    @property
    def is_filled(self) -> bool:
        """Whether all that was stored before is in the warehouse."""
        return bool(self.backfill) and all(one["finished"] for one in self.backfill)
