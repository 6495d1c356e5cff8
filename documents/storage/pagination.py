"""Lists in pages.

A cursor is the position where the last page ended, so all pages cost the same.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId
from mongoengine import Document

CURSOR_TIME_KEY = "time"
MAX_CURSOR_NUMBER = 2**63 - 1


class InvalidCursor(ValueError):
    """Another list, or the same list in another order, made the cursor."""


@dataclass(frozen=True)
class RecordPage:
    """A page of records in order, with the cursor of the next page; None on the last page."""

    records: list[Any]
    next_cursor: str | None


@dataclass(frozen=True)
class PageRead:
    """The records to read for a page.

    Attributes:
        query: the whole condition, which includes the organization, the filters and the place.
        filters: the conditions on the records' fields.
        beyond: the condition that a record follows the previous page; empty on the first page.
        order: the sort fields, each with 1 or -1.
        number: the maximum number of records.
    """

    organization_id: ObjectId
    query: Mapping[str, Any]
    filters: Mapping[str, Any]
    beyond: Mapping[str, Any]
    order: Sequence[tuple[str, int]]
    number: int


def list_page(
    document: type[Document],
    organization_id: ObjectId,
    *,
    filters: Mapping[str, Any],
    sort: str,
    limit: int,
    cursor: str | None,
) -> RecordPage:
    """Return one page of an organization's live records.

    A document can have a method `list_sorted` for orders that its own collection has no index of.

    Args:
        document: a class whose method `read_page` reads the records if one query is not enough.
        sort: a stored field, with a minus for descending order. IDs break ties, unless the
            document's sort fields are unique (`ties = False`). `_id` stands for the document's
            `identity` if clients know another field as the ID.
        cursor: position where the previous page ended.

    Raises:
        InvalidCursor: this list did not make the cursor.
    """
    asked: dict[str, Any] = {"filters": filters, "sort": sort, "limit": limit, "cursor": cursor}
    list_sorted = getattr(document, "list_sorted", None)
    page: RecordPage | None = list_sorted(organization_id, **asked) if list_sorted else None
    return page or read_page(document, organization_id, **asked)


def list_all_pages(
    document: type[Document],
    organization_id: ObjectId,
    *,
    filters: Mapping[str, Any],
    limit: int,
) -> Iterator[list[Any]]:
    """Yield all of an organization's live records in pages, newest first.

    The order never changes, so each record comes at most once. Records that other processes create
    meanwhile do not come. A record is as it was when its page was read.
    """
    cursor: str | None = None
    while True:
        page = list_page(
            document, organization_id, filters=filters, sort="-_id", limit=limit, cursor=cursor
        )
        yield page.records
        cursor = page.next_cursor
        if cursor is None:
            return


def read_page(
    document: type[Document],
    organization_id: ObjectId,
    *,
    filters: Mapping[str, Any],
    sort: str,
    limit: int,
    cursor: str | None,
) -> RecordPage:
    """Return one page from the document's own collection; see `list_page`."""
    identity = getattr(document, "identity", "_id")
    field, descending = sort.removeprefix("-"), sort.startswith("-")
    field = identity if field == "_id" else field
    query: dict[str, Any] = {"organization_id": organization_id, "deleted_at": None, **filters}
    ties = field != identity and getattr(document, "ties", True)
    beyond: dict[str, Any] = {}
    if cursor is not None:
        place = decode_cursor(cursor, sort)
        after = place if field != identity else [sort, place[2], place[2]]
        beyond = _after(field, descending, after, ties)
        query = {"$and": [query, beyond]}
    direction = -1 if descending else 1
    order = [(field, direction), ("_id", direction)] if ties else [(field, direction)]
    read = getattr(document, "read_page", partial(find_records, document))
    records = read(PageRead(organization_id, query, filters, beyond, order, limit + 1))
    if len(records) <= limit:
        return RecordPage(records, None)
    last = records[limit - 1]
    value = None if field == identity else getattr(last, field)
    id_ = getattr(last, "id" if identity == "_id" else identity)
    return RecordPage(records[:limit], encode_cursor([sort, value, id_]))


def find_records(document: type[Document], page: PageRead) -> list[Any]:
    """Return the records of a page by one query."""
    found = document.objects(__raw__=page.query).order_by(
        *(("-" if way < 0 else "") + ("id" if name == "_id" else name) for name, way in page.order)
    )
    return list(found.limit(page.number))


def _after(field: str, descending: bool, place: list[Any], ties: bool) -> dict[str, Any]:
    _, value, id_ = place
    beyond = "$lt" if descending else "$gt"
    if not ties:
        return {field: {beyond: value}}
    rest = {field: value, "_id": {beyond: id_}}
    if value is None:  # MongoDB sorts null before all other values
        return rest if descending else {"$or": [rest, {field: {"$ne": None}}]}
    farther: dict[str, Any] = {field: {beyond: value}}
    if descending:  # range operators do not match null, which sorts last in descending order
        return {"$or": [farther, rest, {field: None}]}
    return {"$or": [farther, rest]}


def encode_cursor(place: list[Any]) -> str:
    """Encode a position for clients: [sort order, plain value or time, ID]."""
    sort, value, id_ = place
    if isinstance(value, datetime):
        value = {CURSOR_TIME_KEY: value.astimezone(UTC).isoformat()}
    text = json.dumps([sort, value, str(id_)], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, sort: str) -> list[Any]:
    """Decode a cursor. A client sends it, so the result contains plain values only."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True)
        made_for, value, id_ = json.loads(text)
        if made_for != sort or not isinstance(id_, str):
            raise InvalidCursor
        return [sort, _value(value), ObjectId(id_)]
    except (binascii.Error, ValueError, TypeError, RecursionError, InvalidId):
        raise InvalidCursor from None


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return (
            datetime.fromisoformat(value[CURSOR_TIME_KEY])
            if value.keys() == {CURSOR_TIME_KEY}
            else _refuse()
        )
    if isinstance(value, str):
        value.encode()  # raises if the text has a lone surrogate
        return value
    is_number = isinstance(value, int) and abs(value) <= MAX_CURSOR_NUMBER
    return value if value is None or is_number else _refuse()


def _refuse() -> Any:
    raise InvalidCursor
