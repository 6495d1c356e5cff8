"""Lists, a page at a time. A cursor is where the last page ended, so every page costs the same."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId, json_util
from bson.errors import BSONError

from documents.record import Record


class BadCursor(ValueError):
    """The cursor was not made by this list with this order."""


@dataclass(frozen=True)
class Page:
    """Some records in order, and the cursor of the next page, or None on the last."""

    records: list[Record]
    next_cursor: str | None


def page(
    document: type[Record],
    organization_id: ObjectId,
    *,
    filters: Mapping[str, Any],
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """One page of an organization's live records.

    Args:
        sort: a stored field, with a minus for descending. Ties are in the order of ids.
        cursor: where the page before ended.

    Raises:
        BadCursor: the cursor is none of ours.
    """
    field, descending = sort.removeprefix("-"), sort.startswith("-")
    query: dict[str, Any] = {"organization_id": organization_id, "deleted_at": None, **filters}
    if cursor is not None:
        query = {"$and": [query, _after(field, descending, _decode(cursor, sort))]}
    direction = -1 if descending else 1
    order = [(field, direction)] if field == "_id" else [(field, direction), ("_id", direction)]
    found = document.objects(__raw__=query).order_by(
        *(("-" if way < 0 else "") + ("id" if name == "_id" else name) for name, way in order)
    )
    records = list(found.limit(limit + 1))
    if len(records) <= limit:
        return Page(records, None)
    last = records[limit - 1]
    value = None if field == "_id" else getattr(last, field)
    return Page(records[:limit], _encode([sort, value, last.id]))


def _after(field: str, descending: bool, place: list[Any]) -> dict[str, Any]:
    _, value, id_ = place
    beyond = "$lt" if descending else "$gt"
    if field == "_id":
        return {"_id": {beyond: id_}}
    rest = {field: value, "_id": {beyond: id_}}
    if value is None:  # null sorts before everything: nothing is below it, all else is above
        return rest if descending else {"$or": [rest, {field: {"$ne": None}}]}
    farther: dict[str, Any] = {field: {beyond: value}}
    if descending:  # range operators do not cross types, and null is the smallest
        return {"$or": [farther, rest, {field: None}]}
    return {"$or": [farther, rest]}


def _encode(place: list[Any]) -> str:
    return base64.urlsafe_b64encode(json_util.dumps(place).encode()).decode().rstrip("=")


def _decode(cursor: str, sort: str) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True)
        place = json_util.loads(text, json_options=json_util.RELAXED_JSON_OPTIONS)
    except (binascii.Error, ValueError, TypeError, BSONError):
        raise BadCursor from None
    if not isinstance(place, list) or len(place) != 3 or place[0] != sort:
        raise BadCursor
    if isinstance(place[1], dict | list) or not isinstance(place[2], ObjectId):
        raise BadCursor  # an operator in a value's place would be a query of the client's own
    return place
