"""Gift days: gifts by quarters of an hour, so that reports can show days in any time zone.

One row holds the gifts of a fundraiser or mailing on one UTC day. Every time zone in use differs
from UTC by a whole number of quarters (source: the IANA time zone database). So its days and hours
are sums of quarters.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from bson import ObjectId
from mongoengine import DateTimeField, DictField, MapField, ObjectIdField, StringField
from mongoengine.fields import IntField

from documents.rows.donation import DonationRow, GiftDayRow
from documents.storage.base import Document
from documents.values.time import now
from matchback.engine import Tx

QUARTERS_PER_HOUR = 4
MINUTES_PER_QUARTER = 15
MAX_SKIPPED_DAYS = 100


class GiftDay(Document):
    """The gifts of a fundraiser or mailing on one UTC day.

    The ID names both: "fundraiser:<id>:2026-11-23" or "mailing:<id>:2026-11-23".

    Attributes:
        gifts: number of gifts by quarter of the UTC day, "0" to "95".
        raised: net minor units, by currency and quarter.
        created_at: unset on days that an earlier version created.
    """

    id = StringField(primary_key=True)
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    gifts = MapField(IntField())
    raised = DictField()
    created_at = DateTimeField()

    meta = {
        "collection": "gift_days",
        "auto_create_index": False,
        "indexes": ["fundraiser_id", "mailing_id"],
    }

    @classmethod
    def latest(cls, kind: str, of: ObjectId, number: int) -> list[GiftDayRow]:
        """Return the rows of the latest days that have gifts.

        Return raw rows, because MongoEngine is too slow for the thousands of quarters in a report.
        """
        found = cls._get_collection().find({"_id": _build_id_range(kind, of)})
        return list(found.sort("_id", -1).limit(number))

    @classmethod
    def find_ends(cls, kind: str, of: ObjectId) -> tuple[GiftDayRow, GiftDayRow] | None:
        """Return the rows of the first and the last day that have gifts; None without gifts.

        Days whose gifts were all deleted have empty rows. Skip a limited number of them.
        """
        ends = []
        for order in (1, -1):
            found = cls._get_collection().find({"_id": _build_id_range(kind, of)})
            rows = list(found.sort("_id", order).limit(MAX_SKIPPED_DAYS))
            if not rows:
                return None
            ends.append(next((row for row in rows if any(row.get("gifts", {}).values())), rows[-1]))
        return ends[0], ends[1]

    @classmethod
    def list_created_before(
        cls, tx: Tx, kind: str, of: ObjectId, at: datetime
    ) -> Iterator[GiftDayRow]:
        """Yield the rows of all days that a time knew, latest first."""
        known = {"_id": _build_id_range(kind, of), "created_at": {"$not": {"$gt": at}}}
        yield from tx.database.gift_days.find(known, session=tx.session).sort("_id", -1)


def _build_id_range(kind: str, of: ObjectId) -> dict[str, str]:
    prefix = f"{kind}:{of}:"
    return {"$gte": prefix, "$lt": prefix[:-1] + ";"}  # the character after the colon


def read_gift_day(id_: str) -> date:
    """Return the UTC day of a GiftDay."""
    return date.fromisoformat(id_.rsplit(":", 1)[1])


def make_gift_day_id(kind: str, of: ObjectId, gift: DonationRow) -> str:
    """Return the ID of the GiftDay that counts the gift."""
    return f"{kind}:{of}:{gift['donated_at']:%Y-%m-%d}"


def quarter_key(gift: DonationRow) -> str:
    """Return the gift's quarter of its UTC day, "0" to "95"."""
    at = gift["donated_at"]
    return str(at.hour * QUARTERS_PER_HOUR + at.minute // MINUTES_PER_QUARTER)


def raised_quarter_key(gift: DonationRow) -> str:
    return f"{gift['currency']}.{quarter_key(gift)}"


def build_gift_day_row(id_: Any) -> GiftDayRow:
    """Return the row of a new GiftDay."""
    kind, of, _ = id_.split(":")
    if kind == "fundraiser":
        return {"_id": id_, "fundraiser_id": ObjectId(of), "created_at": now()}
    return {"_id": id_, "mailing_id": ObjectId(of), "created_at": now()}
