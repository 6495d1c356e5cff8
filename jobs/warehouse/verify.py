"""Exact comparison of the warehouse with the ledger, while traffic continues.

The export pauses meanwhile. The ledger at a snapshot must equal the warehouse. Both sides exclude
records that wait for settling or export at that time.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mongoengine import get_db

from documents.storage.due_groups import name_due_index
from documents.storage.marks import DUE_FILTER
from jobs.warehouse.engine import Warehouse, WarehouseError
from jobs.warehouse.export import read_noted_changes
from jobs.warehouse.snapshot import Snapshot
from jobs.warehouse.tables import (
    DONATION_TABLE,
    EMAIL_TABLE,
    EVENT_TABLE,
    FUNDRAISER_TABLE,
    MAILING_TABLE,
    ORGANIZATION_TABLE,
    USER_TABLE,
    Table,
    to_id_text,
)

MAX_WAITING_RECORDS = 20_000
COMPARED_IDS_PER_QUERY = 500
DAY_FORMAT = "%Y-%m-%d"
GroupKey = tuple[Any, ...]
GroupSums = dict[GroupKey, list[int]]


@dataclass(frozen=True)
class SumCheck:
    """One comparison: sums by group of a table, computed by MongoDB and by the warehouse."""

    table: Table
    groups: Mapping[str, tuple[Any, str]]  # name: expression for MongoDB, expression for SQL
    sums: Mapping[str, tuple[Any, str]]
    where: Mapping[str, Any]  # filter for the records that the warehouse has


@dataclass(frozen=True)
class Difference:
    """A sum that differs."""

    table: str
    group: dict[str, Any]
    sum: str
    ledger: int
    warehouse: int


NET_AMOUNT_EXPRESSION = {
    "$cond": [
        {"$eq": ["$status", "succeeded"]},
        {"$subtract": ["$amount", {"$ifNull": ["$refunded_amount", 0]}]},
        0,
    ]
}
LIVE_FILTER = {"deleted_at": None}
COUNT_EXPRESSIONS = ({"$sum": 1}, "count(*)")


def _field(name: str, sql: str | None = None) -> tuple[Any, str]:
    return f"${name}", sql or name


def _sum(name: str, expression: Any = None) -> tuple[Any, str]:
    return {"$sum": expression or f"${name}"}, f"sum({name})"


def _count(table: Table, where: Mapping[str, Any] = LIVE_FILTER) -> SumCheck:
    owner = {"organization_id": _field("organization_id")}
    groups = owner if table is not ORGANIZATION_TABLE else {"name": _field("name")}
    return SumCheck(table, groups, {"records": COUNT_EXPRESSIONS}, where)


SUM_CHECKS = (
    *map(_count, (ORGANIZATION_TABLE, FUNDRAISER_TABLE, MAILING_TABLE, USER_TABLE)),
    SumCheck(
        DONATION_TABLE,
        {
            "fundraiser_id": _field("fundraiser_id"),
            "day": (
                {"$dateToString": {"date": "$donated_at", "format": DAY_FORMAT}},
                "date_trunc('day', donated_at)",
            ),
            "currency": _field("currency"),
        },
        {
            "gifts": COUNT_EXPRESSIONS,
            "amount": _sum("amount"),
            "refunded": _sum("refunded_amount"),
            "raised": _sum("counted_amount", NET_AMOUNT_EXPRESSION),
        },
        LIVE_FILTER,
    ),
    SumCheck(
        EMAIL_TABLE,
        {"fundraiser_id": _field("fundraiser_id"), "mailing_id": _field("mailing_id")},
        {
            "emails": COUNT_EXPRESSIONS,
            **{name: _sum(name) for name in ("opens", "clicks", "machine_opens", "machine_clicks")},
        },
        LIVE_FILTER,
    ),
    SumCheck(
        EVENT_TABLE,
        {"organization_id": _field("organization_id"), "type": _field("type")},
        {"events": COUNT_EXPRESSIONS},
        {"type": {"$ne": "erased"}},
    ),
)


def find_differences(warehouse: Warehouse) -> Iterator[Difference]:
    """Yield every sum that differs. The caller must pause the exporter.

    Raises:
        WarehouseError: the warehouse is unavailable, or too many records wait for export.
    """
    snapshot = Snapshot(get_db())
    waiting = _waiting(snapshot)
    for check in SUM_CHECKS:
        ids = waiting[check.table.name]
        ledger = _ledger(snapshot, check)
        _add(ledger, _ledger(snapshot, check, ids), -1)
        stored = _stored(warehouse, check)
        _add(stored, _stored(warehouse, check, ids), -1)
        yield from _differences(check, ledger, stored)


def _waiting(snapshot: Snapshot) -> dict[str, list[Any]]:
    changes = read_noted_changes(snapshot, MAX_WAITING_RECORDS)
    ids = {check.table.name: set(changes.ids[check.table.name]) for check in SUM_CHECKS}
    for name in ("donations", "emails", "mailings"):
        due = snapshot.find(
            name, DUE_FILTER, {"_id": 1}, limit=MAX_WAITING_RECORDS, hint=name_due_index(name)
        )
        ids[name] |= {row["_id"] for row in due}
    if sum(map(len, ids.values())) >= MAX_WAITING_RECORDS:
        raise WarehouseError("The warehouse is too far behind. Verify it after it has caught up.")
    return {name: list(of) for name, of in ids.items()}


def _ledger(snapshot: Snapshot, check: SumCheck, ids: list[Any] | None = None) -> GroupSums:
    names = list(check.sums)
    where = dict(check.where) if ids is None else {**check.where, "_id": {"$in": ids}}
    group = {name: mongo for name, (mongo, _) in check.groups.items()}
    sums = {name: mongo for name, (mongo, _) in check.sums.items()}
    rows = snapshot.aggregate(
        check.table.name, [{"$match": where}, {"$group": {"_id": group, **sums}}]
    )
    return {
        _key(row["_id"].get(name) for name in check.groups): [row[name] or 0 for name in names]
        for row in rows
    }


def _stored(warehouse: Warehouse, check: SumCheck, ids: list[Any] | None = None) -> GroupSums:
    groups = [sql for _, sql in check.groups.values()]
    sums = [sql for _, sql in check.sums.values()]
    found: GroupSums = {}
    for where in _conditions(ids):
        query = (
            f"SELECT {', '.join(groups + sums)} FROM {check.table.name}{where} "
            f"GROUP BY {', '.join(groups)}"
        )
        with warehouse.query(query) as answer:
            for row in answer.rows:
                key = _key(row[: len(groups)])
                _add(found, {key: [int(value or 0) for value in row[len(groups) :]]}, 1)
    return found


def _conditions(ids: list[Any] | None) -> Iterator[str]:
    if ids is None:
        yield ""
        return
    remaining = iter(ids)
    while part := list(itertools.islice(remaining, COMPARED_IDS_PER_QUERY)):
        yield f" WHERE id IN ({', '.join(repr(to_id_text(id_)) for id_ in part)})"


def _key(values: Iterable[object]) -> GroupKey:
    """Return a group key in one form for both sides: IDs as text, times as days."""
    return tuple(map(_part, values))


def _part(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.strftime(DAY_FORMAT)
    return None if value is None else str(value)


def _add(to: GroupSums, more: GroupSums, sign: int) -> None:
    for group, amounts in more.items():
        held = to.setdefault(group, [0] * len(amounts))
        to[group] = [one + sign * other for one, other in zip(held, amounts, strict=True)]


def _differences(check: SumCheck, ledger: GroupSums, stored: GroupSums) -> Iterator[Difference]:
    nothing = [0] * len(check.sums)
    for group in sorted(ledger.keys() | stored.keys(), key=str):
        right, says = ledger.get(group, nothing), stored.get(group, nothing)
        for name, one, other in zip(check.sums, right, says, strict=True):
            if one != other:
                named = dict(zip(check.groups, group, strict=True))
                yield Difference(check.table.name, named, name, one, other)
