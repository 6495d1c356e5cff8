"""Pages of records that match a condition without an index of its own.

A page reads a bounded range of an index, so it costs the same whatever part of the records match.
It can be short, or even empty. The next page continues from there.
"""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from mongoengine import Document

from documents.storage.pagination import RecordPage, decode_cursor, encode_cursor

MAX_RECORDS_READ_PER_PAGE = 2_000


def read_bounded_page(
    document: type[Document],
    organization_id: ObjectId,
    *,
    owner: Mapping[str, Any],
    index: str,
    filters: Mapping[str, Any],
    sort: str,
    limit: int,
    cursor: str | None,
) -> RecordPage:
    """Return one page of an owner's live records that match the filters.

    Args:
        owner: the condition on the first field of the index. The owner must be the organization's.
        index: the name of an index on the owner and the ID.
        sort: `_id`, with a minus for descending order.

    Raises:
        InvalidCursor: this list did not make the cursor.
    """
    descending = sort.startswith("-")
    beyond, within, way = ("$lt", "$gte", -1) if descending else ("$gt", "$lte", 1)
    ids: dict[str, Any] = {} if cursor is None else {beyond: decode_cursor(cursor, sort)[2]}
    collection = document._get_collection()
    looked_at = collection.find({**owner, **({"_id": ids} if ids else {})}, {"_id": 1})
    last_of_range = looked_at.sort("_id", way).hint(index).skip(MAX_RECORDS_READ_PER_PAGE - 1)
    edge = next((row["_id"] for row in last_of_range.limit(1)), None)
    if edge:
        ids[within] = edge
    live = {"organization_id": organization_id, "deleted_at": None}
    query = {**live, **filters, **owner, **({"_id": ids} if ids else {})}
    found = document.objects(__raw__=query).order_by("-id" if descending else "id").hint(index)
    records = list(found.limit(limit + 1))
    if len(records) > limit:
        records = records[:limit]
        edge = records[-1].id
    return RecordPage(records, encode_cursor([sort, None, edge]) if edge else None)
