"""Check of the history: the figures of all times follow from what settling added.

It expects that every fundraiser and mailing is new, and that no counter was ever repaired. A repair
adds an amount that no gift explains.
"""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from documents.counters import LEDGER
from documents.history.change_sums import split_sum_keys, sum_changes
from documents.history.journal import JOURNAL
from documents.history.progress import read_progress
from documents.reports.past_report import open_snapshot
from matchback.engine import Journal, Tx, flatten_counters

BEFORE_ALL_RECORDS = datetime(1970, 1, 1, tzinfo=UTC)
AFTER_ALL_CHANGES = datetime(9000, 1, 1, tzinfo=UTC)
# The same journal without its sums. It reads every row.
ROWS_ONLY = Journal(of=JOURNAL.of, collection=JOURNAL.collection, sums="no_sums")


def find_history_mistakes() -> list[str]:
    """Return each difference between the history and the counters, at one snapshot.

    - All changes of a target together are its counters. So without them, the counters are zero.
    - At the time of each sum, the figures are the same with and without the sums.
    - All changes of a fundraiser's gifts together are its number and amount of gifts.
    """
    with open_snapshot() as tx:
        kept_from = read_progress(tx).get("kept_from", BEFORE_ALL_RECORDS)
        sums: dict[Any, list[datetime]] = {}
        for one in tx.database[JOURNAL.sums].find({}, session=tx.session):
            sums.setdefault(one["of"], []).append(one["at"])
        return [
            mistake
            for name in sorted(JOURNAL.names)
            for row in list(tx.database[name].find({}, session=tx.session))
            for mistake in (
                *_find_remainder(tx, name, row),
                *_find_wrong_sums(
                    tx, name, row, [t for t in sums.get(row["_id"], ()) if t >= kept_from]
                ),
                *(_find_unexplained(tx, row) if name == "fundraisers" else ()),
            )
        ]


def _find_remainder(tx: Tx, name: str, row: dict[str, Any]) -> Iterator[str]:
    if left := _restore(tx, JOURNAL, name, row, BEFORE_ALL_RECORDS):
        yield f"{name} {row['_id']}: no change has added {left}"


def _find_wrong_sums(
    tx: Tx, name: str, row: dict[str, Any], times: list[datetime]
) -> Iterator[str]:
    for at in times:
        summed = _restore(tx, JOURNAL, name, row, at)
        if summed != (right := _restore(tx, ROWS_ONLY, name, row, at)):
            yield f"{name} {row['_id']} at {at}: {summed} from sums, {right} from all rows"


def _restore(
    tx: Tx, journal: Journal, name: str, row: dict[str, Any], at: datetime
) -> dict[str, Any]:
    """Return the counters of a target at a time, without zeros."""
    then = deepcopy(row)
    journal.restore(tx, [then], at)
    return flatten_counters(LEDGER, name, then)


def _find_unexplained(tx: Tx, fundraiser: dict[str, Any]) -> Iterator[str]:
    explained: Counter[str] = Counter()
    changes = sum_changes(tx, fundraiser["_id"], AFTER_ALL_CHANGES)
    for (_, currency, figure), amount in split_sum_keys(changes):
        if figure != "changes":
            explained["count" if figure == "count" else currency] += amount
    counted = Counter(fundraiser.get("raised", {}), count=fundraiser["donations_count"])
    explained.subtract(counted)
    if left := {name: amount for name, amount in explained.items() if amount}:
        yield f"fundraiser {fundraiser['_id']}: its changes of gifts have {left} more"
