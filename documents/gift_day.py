"""Gifts by time, counted by quarters of an hour, so that any time zone can show its days.

One row holds the gifts of a fundraiser or mailing on one UTC day. Every time zone in use differs
from documents.rows.donation import DonationRow, GiftDayRow
from UTC by a whole number of quarters (source: the IANA time zone database). So its days and hours
are sums of quarters.
"""

from datetime import date
from typing import Any

from bson import ObjectId
from mongoengine import DictField, MapField, ObjectIdField, StringField
from mongoengine.fields import IntField

from documents.rows.donation import DonationRow, GiftDayRow
from documents.storage.base import Document

QUARTERS_AN_HOUR = 4
MINUTES_A_QUARTER = 15


class GiftDay(Document):
    """Its id says whose and which day: "fundraiser:<id>:2026-11-23" or "mailing:<id>:2026-11-23".

    gifts: how many, by quarter of the UTC day, "0" to "95".
    raised: net minor units, by currency and quarter.
    """

    id = StringField(primary_key=True)
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    gifts = MapField(IntField())
    raised = DictField()

    meta = {
        "collection": "gift_days",
        "auto_create_index": False,
        "indexes": ["fundraiser_id", "mailing_id"],
    }

    @classmethod
    def latest(cls, kind: str, of: ObjectId, number: int) -> list[GiftDayRow]:
        """The rows of the latest days on which there were gifts, by the ids' own index.

        As they are stored: a report reads thousands of quarters, too many to be made fields.
        """
        prefix = f"{kind}:{of}:"
        ids = {"$gte": prefix, "$lt": prefix[:-1] + ";"}  # the character after the colon
        return list(cls._get_collection().find({"_id": ids}).sort("_id", -1).limit(number))


def day_of(id_: str) -> date:
    """The UTC day that a GiftDay is of."""
    return date.fromisoformat(id_.rsplit(":", 1)[1])


def gift_day_id(kind: str, of: ObjectId, gift: DonationRow) -> str:
    """The GiftDay that a gift counts in."""
    return f"{kind}:{of}:{gift['donated_at']:%Y-%m-%d}"


def quarter(gift: DonationRow) -> str:
    """Which quarter of an hour of its UTC day."""
    at = gift["donated_at"]
    return str(at.hour * QUARTERS_AN_HOUR + at.minute // MINUTES_A_QUARTER)


def raised_in_quarter(gift: DonationRow) -> str:
    return f"{gift['currency']}.{quarter(gift)}"


def new_gift_day(id_: Any) -> GiftDayRow:
    """The row of a day with its first gift."""
    kind, of, _ = id_.split(":")
    if kind == "fundraiser":
        return {"_id": id_, "fundraiser_id": ObjectId(of)}
    return {"_id": id_, "mailing_id": ObjectId(of)}
