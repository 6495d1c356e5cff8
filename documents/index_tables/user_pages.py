"""Pages of users in the order of a counter."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.index_tables.former_layout import is_user_index_filled
from documents.index_tables.user_index import USER_INDEX_FIELDS, UserIndex
from documents.storage.pagination import RecordPage, read_page
from documents.storage.record import Record


def list_by_counter(
    users: type[Record],
    organization_id: ObjectId,
    *,
    filters: Mapping[str, Any],
    sort: str,
    limit: int,
    cursor: str | None,
) -> RecordPage | None:
    """Return a page of users; None if the list does not need the index table.

    A filter by name or address matches few users, which MongoDB sorts itself. A page is short if
    users were deleted a moment ago.
    """
    if sort.removeprefix("-") not in USER_INDEX_FIELDS or filters:
        return None
    if not is_user_index_filled(get_db()):
        return None
    page = read_page(UserIndex, organization_id, filters={}, sort=sort, limit=limit, cursor=cursor)
    return RecordPage(fetch_in_order(users, organization_id, page.records), page.next_cursor)


def fetch_in_order(document: type[Record], organization_id: ObjectId, rows: list[Any]) -> list[Any]:
    """Return the live records of these rows of an index table, in the same order."""
    ids = [row.id for row in rows]
    found = {one.id: one for one in document.live(organization_id, id__in=ids)}
    return [found[id_] for id_ in ids if id_ in found]
