"""Journal: what each settlement added to chosen counters, so that their earlier values are known.

The transaction that settles also inserts one small row for each journaled target. A counter at an
earlier time is its present value without the later rows. Sums to the end of each hour keep a
reading of any time short; `sum_hour` adds them afterwards.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
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
SUMMED_TARGETS_PER_COMMAND = 1_000
ONE_MILLISECOND = timedelta(milliseconds=1)
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

    def restore(self, tx: Tx, rows: Sequence[StoredDocument], at: datetime) -> None:
        """Change the counters of targets' rows in memory to their values at a time.

        This takes four commands for any number of rows.

        Args:
            tx: the context in which the rows were read, which must be a snapshot.
        """
        if not rows:
            return
        ids = [row["_id"] for row in rows]
        later, until = self._sum_until(tx, ids, None), self._sum_until(tx, ids, at)
        for row in rows:
            gone = later[row["_id"]]
            add_amounts(gone, until[row["_id"]], -1)
            increase(row, {path: -amount for path, amount in gone.items()})

    def _sum_until(self, tx: Tx, ids: Sequence[Any], at: datetime | None) -> dict[Any, Amounts]:
        """Return the sum of each target's rows until a time, inclusive; None for all rows."""
        earlier: dict[str, Any] = {} if at is None else {"$lte": at}
        totals: dict[Any, Amounts] = {id_: {} for id_ in ids}
        since: defaultdict[datetime | None, list[Any]] = defaultdict(list)
        known = self._find_last_sums(tx, ids, earlier)
        for id_ in totals:
            if id_ in known:
                totals[id_] = dict(from_text(known[id_]["total"]))
            since[known[id_]["at"] if id_ in known else None].append(id_)
        parts = [
            {"of": {"$in": some}, **({"at": span} if span else {})}
            for start, some in since.items()
            for span in [earlier if start is None else {**earlier, "$gte": start}]
        ]
        for row in self._find(tx, {"$or": parts}) if parts else ():
            add_amounts(totals[row["of"]], from_text(row["amounts"]))
        return totals

    def _find_last_sums(
        self, tx: Tx, ids: Sequence[Any], earlier: Mapping[str, Any]
    ) -> dict[Any, StoredDocument]:
        """Return the last stored sum of each target.

        MongoDB reads one key for each target if the sort has the order of the index, backwards.
        """
        found = tx.database[self.sums].aggregate(
            [
                {"$match": {"of": {"$in": list(ids)}, **({"at": earlier} if earlier else {})}},
                {"$sort": {"of": -1, "at": -1}},
                {"$group": {"_id": "$of", "at": {"$first": "$at"}, "total": {"$first": "$total"}}},
            ],
            session=tx.session,
        )
        return {row["_id"]: row for row in found}

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
        ids = list(dict.fromkeys(row["of"] for row in self._find(tx, {"_id": span})))
        for start in range(0, len(ids), SUMMED_TARGETS_PER_COMMAND):
            some = ids[start : start + SUMMED_TARGETS_PER_COMMAND]
            self.store_sums(tx, self._sum_until(tx, some, end - ONE_MILLISECOND), end)
        return len(ids)

    def store_sums(self, tx: Tx, totals: Mapping[Any, Amounts], end: datetime) -> None:
        """Store the sums of targets before a full hour. A repeated call replaces them."""
        rows = [
            {"_id": f"{id_}:{end:%Y-%m-%dT%H}", "of": id_, "at": end, "total": to_text(total)}
            for id_, total in totals.items()
        ]
        tx.database[self.sums].bulk_write(
            [ReplaceOne({"_id": row["_id"]}, row, upsert=True) for row in rows], ordered=False
        )


def make_journal_id(at: datetime) -> ObjectId:
    """Return a new ID whose time is `at`, so that a range of IDs is a range of times."""
    seconds = int(at.timestamp()).to_bytes(OBJECT_ID_TIME_BYTES, "big")
    return ObjectId(seconds + ObjectId().binary[OBJECT_ID_TIME_BYTES:])
