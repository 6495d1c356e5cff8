"""Gift changes: what the figures of a fundraiser include of each gift, and when that changed.

One row holds all changes of a settlement, because a row for each change would cost as much as a
tenth of settling. It holds IDs and amounts, and no names or addresses. So it stays when a person is
erased.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from bson import ObjectId
from mongoengine import DateTimeField, DictField, ListField, ObjectIdField, get_db

from documents.history.gift_rules import GiftChangeKind, StoredChange, StoredCountedGift
from documents.storage.base import Document
from documents.storage.pagination import RecordPage, decode_cursor, encode_cursor
from documents.storage.tenancy import OWNED_META


@dataclass(frozen=True)
class GiftChange:
    """One change of a gift.

    Attributes:
        at: the time of the settlement, which the journal has, too.
        kinds: the first one explains the difference; see `GiftChangeKind`.
        before, after: match, email, mailing and net amount; None if the gift did not count.
        refunded: minor units that the change adds to the refunded amount.
    """

    id: ObjectId
    donation_id: ObjectId
    at: datetime
    kinds: Sequence[GiftChangeKind]
    currency: str
    before: StoredCountedGift | None
    after: StoredCountedGift | None
    refunded: int

    @classmethod
    def of(cls, stored: StoredChange, at: datetime) -> "GiftChange":
        return cls(
            stored["_id"],
            stored["donation_id"],
            at,
            stored["kinds"],
            stored["currency"],
            stored.get("before"),
            stored.get("after"),
            stored.get("refunded", 0),
        )

    @property
    def mailing_id(self) -> ObjectId | None:
        """The mailing of the gift after the change, or else before it."""
        links = [one.get("mailing_id") for one in (self.after, self.before) if one]
        return next(filter(None, links), None)

    @property
    def difference(self) -> int:
        """Minor units that the change adds to the amount raised."""
        before, after = (one["amount"] if one else 0 for one in (self.before, self.after))
        return after - before


class SettledChanges(Document):
    """The gift changes of one settlement. Nothing changes them later. See `StoredChange`."""

    organization_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField(required=True)
    at = DateTimeField(required=True)
    changes = ListField(DictField())

    meta = {
        "collection": "gift_changes",
        "auto_create_index": False,
        "indexes": [["fundraiser_id", "at"]],
        **OWNED_META,
    }

    @classmethod
    def list_sorted(
        cls,
        organization_id: ObjectId,
        *,
        filters: Mapping[str, Any],
        sort: str,
        limit: int,
        cursor: str | None,
    ) -> RecordPage:
        """Return one page of changes by time and ID; see `list_page`."""
        query = {"organization_id": organization_id, **filters}
        _, *after = decode_cursor(cursor, sort) if cursor is not None else (sort,)
        if after:
            query = {"$and": [query, {"at": {"$gte": after[0]}}]}
        changes = (one for one in _read(query) if not after or [one.at, one.id] > after)
        page = list(islice(changes, limit + 1))
        if len(page) <= limit:
            return RecordPage(page, None)
        last = page[limit - 1]
        return RecordPage(page[:limit], encode_cursor([sort, last.at, last.id]))


def _read(query: Mapping[str, Any]) -> Iterator[GiftChange]:
    rows = get_db().gift_changes.find(query).sort("at", 1)
    for at, settled in groupby(rows, itemgetter("at")):
        changes = [change for row in settled for change in row["changes"]]
        for change in sorted(changes, key=itemgetter("_id")):
            yield GiftChange.of(change, at)
