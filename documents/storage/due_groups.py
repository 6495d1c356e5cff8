"""Search for due records by group, such as the fundraisers or organizations with due records.

Each collection has one index of due records, by group and time. A second index, by time alone,
would slow down every write of settling. So this module reads the first record of each group and
skips the others.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.storage.marks import DUE_FILTER

DUE_GROUP_FIELDS = {
    **dict.fromkeys(("donations", "emails", "mailings"), "fundraiser_id"),
    **dict.fromkeys(("deliveries", "events", "late_touches"), "organization_id"),
    "shared_posts": "provider",  # they belong to no organization
}
# A read returns more records than one, because most groups have few. It stays small, because
# another group can have many.
MIN_ROWS_PER_READ, MAX_ROWS_PER_READ = 8, 1_000
DueRow = Mapping[str, Any]


def name_due_index(source: str) -> str:
    """Return the name of the index of a collection's due records, for a hint.

    MongoDB does not choose the index itself if a query names no group.
    """
    return f"due_{DUE_GROUP_FIELDS[source]}"


def count_due(
    source: str, limit: int | None = None, organization_id: ObjectId | None = None
) -> int:
    """Count the due records of one organization or of all, up to the limit."""
    options: dict[str, Any] = {} if limit is None else {"limit": limit}
    query = {**DUE_FILTER, **_build_owner_condition(source, organization_id)}
    count: int = get_db()[source].count_documents(query, hint=name_due_index(source), **options)
    return count


def _build_owner_condition(source: str, organization_id: ObjectId | None) -> dict[str, Any]:
    """Return the condition on the group that limits a query to an organization's records.

    Without it, the query would read the due records of all other organizations.
    """
    if organization_id is None:
        return {}
    group = DUE_GROUP_FIELDS[source]
    if group == "organization_id":
        return {group: {"$eq": organization_id}}
    own = get_db().fundraisers.find({"organization_id": organization_id}, {"_id": 1})
    return {group: {"$in": [row["_id"] for row in own]}}


def iterate_oldest(source: str, fields: tuple[str, ...] = (), **more: Any) -> Iterator[DueRow]:
    """Yield the oldest due record of each group, in the order of the groups.

    Args:
        fields: fields to read, besides the group and the due mark.
        more: further conditions.
    """
    group = DUE_GROUP_FIELDS[source]
    read = {"_id": 0, **dict.fromkeys((group, "due", *fields), 1)}
    number, last = MIN_ROWS_PER_READ, None
    while True:
        query = {**DUE_FILTER, **more}
        if last is not None:
            query[group] = {**more.get(group, {}), "$gt": last}
        found = get_db()[source].find(query, read, batch_size=number + 1)
        found = found.sort([(group, 1), ("due", 1)]).hint(name_due_index(source)).limit(number)
        rows = list(found)
        first = {row[group]: row for row in reversed(rows)}
        yield from (first[id_] for id_ in dict.fromkeys(row[group] for row in rows))
        if len(rows) < number:
            return
        last = rows[-1][group]
        is_skipping = len(first) < number // 2
        number = MIN_ROWS_PER_READ if is_skipping else min(2 * number, MAX_ROWS_PER_READ)


def list_groups_by_age(source: str, before: datetime, **more: Any) -> list[ObjectId]:
    """Return the groups with records that were due before this time, the oldest group first."""
    due = {**DUE_FILTER["due"], "$lte": before}
    oldest = sorted(iterate_oldest(source, **{**more, "due": due}), key=lambda row: row["due"])
    return [row[DUE_GROUP_FIELDS[source]] for row in oldest]


def find_oldest(
    source: str,
    organization_id: ObjectId | None = None,
    fields: tuple[str, ...] = (),
    **more: Any,
) -> DueRow | None:
    """Return the oldest due record, of one organization or of all."""
    own = _build_owner_condition(source, organization_id)
    return min(
        iterate_oldest(source, fields, **more, **own), key=lambda row: row["due"], default=None
    )
