"""Reader of webhook bodies. It parses the next ones while MongoDB counts the current ones.

A body does not change while its delivery is due. So it can be parsed before the transaction that
counts it. Reading ahead affects only speed: other bodies are parsed when they are needed.
"""

import contextlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Self

from bson import ObjectId
from mongoengine import get_db

from documents.errors import Unusable
from documents.giving_links.references import resolve_reference
from documents.providers.provider import parse_items
from documents.providers.registry import PROVIDERS
from documents.providers.report import ERASED_ITEM, EventReport
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.storage import shutdown
from matchback.engine import Tx

# A transaction must be short, because it blocks other writes to its mailing. Each transaction has a
# fixed cost, so a backlog of small POSTs needs large batches.
DELIVERIES_PER_BATCH = 100
EVENTS_PER_BATCH = 1000
ITEMS_PER_BATCH = 100_000  # read to fill a batch; takes 0.1 seconds if no item is valid
MAX_REJECTED_ITEMS = 100  # stored with their reasons, for each delivery
DUE_DELIVERY_FIELDS = (
    *("organization_id", "provider", "due", "items", "next_item", "bad_event", "trouble"),
)

# Items of a POST, by its ID and due time.
ItemsByPost = dict[tuple[ObjectId, datetime], list[Any]]

_ahead = ThreadPoolExecutor(2, thread_name_prefix="read-ahead")


class DeliveryPart(NamedTuple):
    """A part of a delivery: its events from `first`, at most `most`.

    The due time identifies the version of the body, because a replay makes a delivery due again
    that erasure may have changed.
    """

    organization_id: ObjectId
    provider: str
    id: ObjectId
    due: datetime
    first: int
    most: int


class DeliveredReport(NamedTuple):
    """One event of a delivery, and the email that it names by an ID or a token."""

    report: EventReport
    named: ObjectId | None
    delivery_id: ObjectId
    item: int


@dataclass
class PartReading:
    """The reports in a part."""

    # index at which the next batch continues; None at the end of the delivery
    next_item: int | None = None
    reports: list[DeliveredReport] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)  # the first rejected items
    refused_count: int = 0

    def refuse(self, index: int, reason: str) -> None:
        """Record an invalid item."""
        self.refused_count += 1
        if len(self.refused) < MAX_REJECTED_ITEMS:
            self.refused.append({"index": index, "reason": reason})


def find_due_deliveries(tx: Tx, query: dict[str, Any]) -> list[WebhookDeliveryRow]:
    """Return the next deliveries that a query finds, without their bodies."""
    found = tx.database.deliveries.find(
        query,
        dict.fromkeys(DUE_DELIVERY_FIELDS, 1),
        sort=[("due", 1)],
        limit=DELIVERIES_PER_BATCH,
        session=tx.session,
    )
    return list(found)


def choose_parts(deliveries: Sequence[WebhookDeliveryRow], most: int) -> list[DeliveryPart]:
    """Choose the parts of a batch with at most `most` events. Split a large delivery."""
    parts: list[DeliveryPart] = []
    left = most
    for row in deliveries:
        first = row.get("next_item") or 0
        # an empty POST takes one place, so that a batch of one can take it
        waiting = max(1, row["items"] - first)
        if parts and (waiting > left or not left):
            break
        of = row["organization_id"], row["provider"]
        parts.append(DeliveryPart(*of, row["_id"], row["due"], first, left))
        left -= min(left, waiting)
    return parts


class DeliveryReader:
    """Reader of parts of deliveries. As a context manager, it finishes reading ahead on exit."""

    def __init__(self) -> None:
        self._known: dict[DeliveryPart, PartReading] = {}
        # A large POST takes many batches, so its items are parsed once. The read-ahead thread and
        # the caller never use this at the same time.
        self._unfinished: ItemsByPost = {}
        self._coming: Future[dict[DeliveryPart, PartReading]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._coming and not self._coming.cancel():
            self._coming.exception()

    def read(self, parts: Sequence[DeliveryPart], tx: Tx) -> list[PartReading]:
        """Return the reports of these parts. Read missing bodies in the transaction.

        Outside the transaction, a read might not see a delivery that the transaction sees.
        """
        if self._coming and not self._coming.cancel():
            # read these parts again below, which raises a lasting error to the caller
            with contextlib.suppress(Exception):
                self._known |= self._coming.result()
        self._coming = None
        missing = [part for part in parts if part not in self._known]
        self._known = {part: self._known[part] for part in parts if part in self._known}
        self._known |= _read(missing, self._unfinished, tx)
        return [self._known[part] for part in parts]

    def read_ahead(self, query: dict[str, Any], parts: Sequence[DeliveryPart], most: int) -> None:
        """Start to read the next parts in the background, with at most `most` events."""
        goes_on = {part.id: self._known[part].next_item for part in parts}
        if not shutdown.has_begun():
            self._coming = _ahead.submit(_read_next, query, goes_on, self._unfinished, most)


def _read_next(
    query: dict[str, Any],
    goes_on: dict[ObjectId, int | None],
    unfinished: ItemsByPost,
    most: int,
) -> dict[DeliveryPart, PartReading]:
    done = [id_ for id_, next_item in goes_on.items() if next_item is None]
    tx = Tx(get_db())
    deliveries = find_due_deliveries(tx, {**query, "_id": {"$nin": done}})
    for row in deliveries:
        row["next_item"] = goes_on.get(row["_id"], row.get("next_item"))
    return _read(choose_parts(deliveries, most), unfinished, tx)


def _read(
    parts: Sequence[DeliveryPart], unfinished: ItemsByPost, tx: Tx
) -> dict[DeliveryPart, PartReading]:
    """Read parts of deliveries. Keep only the items of bodies that have more events."""
    if not parts:
        return {}
    known = dict(unfinished)
    unfinished.clear()
    wanted = {"_id": {"$in": [part.id for part in parts if (part.id, part.due) not in known]}}
    found = tx.database.deliveries.find(wanted, {"body": 1}, session=tx.session)
    bodies = {row["_id"]: row["body"] for row in found}
    readings = {}
    for part in parts:
        items = known.get((part.id, part.due)) or parse_stored_body(part.provider, bodies[part.id])
        readings[part] = reading = _read_part(part, items)
        if items and reading.next_item is not None:
            unfinished[part.id, part.due] = items
    return readings


def parse_stored_body(provider: str, body: bytes) -> list[Any] | None:
    """Return the items of a stored body, unchecked, or None if it has no items."""
    try:
        return parse_items(body)
    except Unusable:
        return _parse_raw(provider, body)


def _parse_raw(provider: str, body: bytes) -> list[Any] | None:
    """Return the items of a body that an earlier version could not unwrap."""
    try:
        return parse_items(PROVIDERS[provider].unwrap(body))
    except Unusable:
        return None


def _read_part(part: DeliveryPart, items: list[Any] | None) -> PartReading:
    """Read at most `most` events of a part.

    Invalid items take no place, so that a POST of a million invalid items takes few batches.
    """
    reading = PartReading()
    if items is None:
        reading.refuse(0, "the body is neither a JSON array nor a JSON object")
        return reading
    index = part.first
    end = min(len(items), part.first + ITEMS_PER_BATCH)
    while index < end and len(reading.reports) < part.most:
        events = _read_item(part, index, items[index], reading)
        if events:
            if part.most == 1 and index > part.first:
                break  # a batch of one begins with its item, so that `skip_event` finds it
            reading.reports += events
        index += 1
    reading.next_item = index if index < len(items) else None
    return reading


def _read_item(
    part: DeliveryPart, index: int, item: Any, reading: PartReading
) -> list[DeliveredReport]:
    if item == ERASED_ITEM:
        return []
    try:
        reports = PROVIDERS[part.provider].read_events(part.organization_id.binary, item)
    except Unusable as error:
        reading.refuse(index, str(error))
        return []
    return [_name_email(part, index, report) for report in reports]


def _name_email(part: DeliveryPart, index: int, report: EventReport) -> DeliveredReport:
    reference = resolve_reference(part.organization_id, report.email_ref)
    return DeliveredReport(report, reference[0] if reference else None, part.id, index)
