"""A reader of webhook posts, which parses the next ones while MongoDB counts the current ones.

A body's meaning depends on nothing else, and the body does not change while its delivery is due. So
it can be parsed before the transaction that counts it. Only speed depends on that: a body that was
not parsed ahead is parsed when it is needed.
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
from documents.giving_links.references import resolve
from documents.providers import sendgrid
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.storage import shutdown
from matchback.engine import Tx

# A transaction must stay short, because it holds its mailing meanwhile. Each one has a cost of its
# own, which a backlog of small posts must not pay for every ten of them.
DELIVERIES_A_BATCH = 100
EVENTS_A_BATCH = 1000
ITEMS_A_BATCH = 100_000  # read for them: a tenth of a second where nothing can be understood
REFUSED_KEPT = 100  # of a delivery, with their reasons
FIELDS = ("organization_id", "due", "items", "next_item", "bad_event", "trouble")

# A post's items, by its ID and since when it is due.
Items = dict[tuple[ObjectId, datetime], list[Any]]

_ahead = ThreadPoolExecutor(2, thread_name_prefix="read-ahead")


class Part(NamedTuple):
    """Some of a delivery's events: from the first, as many as fit. Due since then, for a replay
    makes a delivery due that was erased meanwhile."""

    organization_id: ObjectId
    id: ObjectId
    due: datetime
    first: int
    most: int


class Reported(NamedTuple):
    """One event of a delivery, and the email that it names by an id or a token."""

    report: sendgrid.Report
    named: ObjectId | None
    delivery_id: ObjectId
    item: int


@dataclass
class Reading:
    """What a part reports."""

    next_item: int | None = None  # where the next batch goes on; None: that was all of it
    reports: list[Reported] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)  # the first of them
    refused_count: int = 0

    def refuse(self, index: int, reason: str) -> None:
        """Note an item that cannot be understood."""
        self.refused_count += 1
        if len(self.refused) < REFUSED_KEPT:
            self.refused.append({"index": index, "reason": reason})


def due_deliveries(tx: Tx, query: dict[str, Any]) -> list[WebhookDeliveryRow]:
    """Return the next deliveries that a query finds, without their bodies."""
    found = tx.database.deliveries.find(
        query,
        dict.fromkeys(FIELDS, 1),
        sort=[("due", 1)],
        limit=DELIVERIES_A_BATCH,
        session=tx.session,
    )
    return list(found)


def as_many_as_fit(deliveries: Sequence[WebhookDeliveryRow], most: int) -> list[Part]:
    """What a batch of so many events takes: of a large delivery, as much as fits."""
    parts: list[Part] = []
    left = most
    for row in deliveries:
        first = row.get("next_item") or 0
        waiting = max(1, row["items"] - first)  # a batch of one takes one post, even an empty one
        if parts and (waiting > left or not left):
            break
        parts.append(Part(row["organization_id"], row["_id"], row["due"], first, left))
        left -= min(left, waiting)
    return parts


class Reader:
    """Reads parts of deliveries. As a context, it has read nothing more ahead when it is left."""

    def __init__(self) -> None:
        self._known: dict[Part, Reading] = {}
        # Parsed once, because a large post takes many batches. The thread that reads ahead and the
        # caller never use it at the same time.
        self._unfinished: Items = {}
        self._coming: Future[dict[Part, Reading]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._coming and not self._coming.cancel():
            self._coming.exception()

    def read(self, parts: Sequence[Part], tx: Tx) -> list[Reading]:
        """What these parts report. What was not read ahead is read in the transaction: outside,
        a post may not be to be seen yet that it sees already."""
        if self._coming and not self._coming.cancel():
            with contextlib.suppress(Exception):  # then it is read now, and whoever asks is told
                self._known |= self._coming.result()
        self._coming = None
        missing = [part for part in parts if part not in self._known]
        self._known = {part: self._known[part] for part in parts if part in self._known}
        self._known |= _read(missing, self._unfinished, tx)
        return [self._known[part] for part in parts]

    def look_ahead(self, query: dict[str, Any], parts: Sequence[Part], most: int) -> None:
        """Begin to read what comes after these parts: as many events."""
        goes_on = {part.id: self._known[part].next_item for part in parts}
        if not shutdown.has_begun():
            self._coming = _ahead.submit(_read_next, query, goes_on, self._unfinished, most)


def _read_next(
    query: dict[str, Any],
    goes_on: dict[ObjectId, int | None],
    unfinished: Items,
    most: int,
) -> dict[Part, Reading]:
    done = [id_ for id_, next_item in goes_on.items() if next_item is None]
    tx = Tx(get_db())
    deliveries = due_deliveries(tx, {**query, "_id": {"$nin": done}})
    for row in deliveries:
        row["next_item"] = goes_on.get(row["_id"], row.get("next_item"))
    return _read(as_many_as_fit(deliveries, most), unfinished, tx)


def _read(parts: Sequence[Part], unfinished: Items, tx: Tx) -> dict[Part, Reading]:
    """Read parts of posts. Keep the items of the posts that have more, and of no others."""
    if not parts:
        return {}
    known = dict(unfinished)
    unfinished.clear()
    wanted = {"_id": {"$in": [part.id for part in parts if (part.id, part.due) not in known]}}
    found = tx.database.deliveries.find(wanted, {"body": 1}, session=tx.session)
    bodies = {row["_id"]: row["body"] for row in found}
    readings = {}
    for part in parts:
        items = known.get((part.id, part.due)) or _parse(bodies[part.id])
        readings[part] = reading = _read_part(part, items)
        if items and reading.next_item is not None:
            unfinished[part.id, part.due] = items
    return readings


def _parse(body: bytes) -> list[Any] | None:
    try:
        return sendgrid.parse(body)
    except Unusable:
        return None


def _read_part(part: Part, items: list[Any] | None) -> Reading:
    """Read up to `most` events. Items that cannot be understood cost no place, so that a post of
    a million of them takes few batches."""
    reading = Reading()
    if items is None:
        reading.refuse(0, "the body is no JSON array")
        return reading
    index = part.first
    end = min(len(items), part.first + ITEMS_A_BATCH)
    while index < end and len(reading.reports) < part.most:
        event = _read_item(part, index, items[index], reading)
        if event is not None:
            if part.most == 1 and index > part.first:
                break  # a batch of one event begins with it, so that `skip_event` finds it
            reading.reports.append(event)
        index += 1
    reading.next_item = index if index < len(items) else None
    return reading


def _read_item(part: Part, index: int, item: Any, reading: Reading) -> Reported | None:
    if item == sendgrid.ERASED:
        return None
    try:
        report = sendgrid.read(part.organization_id.binary, item)
    except Unusable as error:
        reading.refuse(index, str(error))
        return None
    reference = resolve(part.organization_id, report.email_ref)
    return Reported(report, reference[0] if reference else None, part.id, index)
