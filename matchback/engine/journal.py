"""Journal: what each settlement added to chosen counters, so that their earlier values are known.

The transaction that settles also inserts one small row for each journaled target. A counter at an
earlier time is its present value without the later rows. Sums to the end of each hour keep a
reading of any time short; `sum_hour` adds them afterwards.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from bson import ObjectId
from pymongo import ReplaceOne

from .contribution import Amounts, StoredDocument, add_amounts, from_text, increase, to_text
from .transaction import Tx

JOURNAL_HOUR = timedelta(hours=1)
JOURNAL_ROWS_PER_ANSWER = 5_000
OBJECT_ID_TIME_BYTES = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Journal:
    """The journal of the counters of some targets.

    `collection` needs an index on `of` and `at`, and so does `sums`. The IDs of all journaled
    targets must differ.

    Attributes:
        of: documents of the targets.
        collection: rows of one target and settlement: `of`, `at`, and `amounts` as JSON.
        sums: `total` as JSON of all rows of a target before a full hour `at`.
    """

    of: tuple[type, ...]
    collection: str
    sums: str

    @cached_property
    def names(self) -> frozenset[str]:
        """Collections of the targets."""
        return frozenset(one._get_collection_name() for one in self.of)  # type: ignore[attr-defined]

    def note(
        self, tx: Tx, amounts: Mapping[Any, Mapping[str, int]], send: Callable[..., None]
    ) -> None:
        """Insert the amounts that this transaction adds to targets, by ID."""
        at = tx.at
        rows = [
            {"_id": make_journal_id(at), "of": id_, "at": at, "amounts": to_text(dict(added))}
            for id_, added in amounts.items()
            if added
        ]
        if rows:
            insert = tx.database[self.collection].insert_many
            send(insert, rows, ordered=False, session=tx.session)

    def restore(self, tx: Tx, row: StoredDocument, at: datetime) -> None:
        """Change the counters of a target's row in memory to their values at a time.

        Args:
            tx: the context in which the row was read, which must be a snapshot.
        """
        later = self._sum_until(tx, row["_id"], None)
        add_amounts(later, self._sum_until(tx, row["_id"], at), -1)
        increase(row, {path: -amount for path, amount in later.items()})

    def _sum_until(self, tx: Tx, id_: Any, at: datetime | None) -> Amounts:
        """Return the sum of a target's rows until a time, inclusive; None for all rows."""
        earlier: dict[str, Any] = {} if at is None else {"at": {"$lte": at}}
        known = tx.database[self.sums].find_one(
            {"of": id_, **earlier}, sort=[("at", -1)], session=tx.session
        )
        total = dict(from_text(known["total"])) if known else {}
        since = {"at": {**earlier.get("at", {}), "$gte": known["at"]}} if known else earlier
        for row in self._find(tx, {"of": id_, **since}):
            add_amounts(total, from_text(row["amounts"]))
        return total

    def _find(self, tx: Tx, query: Mapping[str, Any]) -> Iterable[StoredDocument]:
        fields = {"_id": 0, "of": 1, "amounts": 1}
        return tx.database[self.collection].find(
            query, fields, session=tx.session, batch_size=JOURNAL_ROWS_PER_ANSWER
        )

    def sum_hour(self, tx: Tx, hour: datetime) -> int:
        """Store the sums at the end of a full hour. Return the number of targets.

        Call this for one hour after another, when all transactions of the hour have ended. A
        repeated call changes nothing.
        """
        end = hour + JOURNAL_HOUR
        # `_id` has its time, too, so no index on `at` alone is necessary.
        span = {"$gte": ObjectId.from_datetime(hour), "$lt": ObjectId.from_datetime(end)}
        added: defaultdict[Any, Amounts] = defaultdict(dict)
        for row in self._find(tx, {"_id": span}):
            add_amounts(added[row["of"]], from_text(row["amounts"]))
        rows = []
        for id_ in added:
            total = self._sum_until(tx, id_, end - timedelta(milliseconds=1))
            sum_id = f"{id_}:{end:%Y-%m-%dT%H}"
            rows.append({"_id": sum_id, "of": id_, "at": end, "total": to_text(total)})
        if rows:
            tx.database[self.sums].bulk_write(
                [ReplaceOne({"_id": row["_id"]}, row, upsert=True) for row in rows], ordered=False
            )
        return len(rows)


def make_journal_id(at: datetime) -> ObjectId:
    """Return a new ID whose time is `at`, so that a range of IDs is a range of times."""
    seconds = int(at.timestamp()).to_bytes(OBJECT_ID_TIME_BYTES, "big")
    return ObjectId(seconds + ObjectId().binary[OBJECT_ID_TIME_BYTES:])
