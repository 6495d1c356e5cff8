"""Recent requests of a provider, so that staff see whether its webhook works.

Stored deliveries show what was received. Notes of rejected requests show why nothing arrived.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.errors import Unusable
from documents.providers.provider import Provider, parse_items
from documents.providers.registry import PROVIDERS
from documents.rows.collections import collection
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.webhook_rejections import REJECTION_REASONS, RejectionReason, WebhookRejections

MAX_RECENT_REQUESTS = 10
MAX_READ_ITEMS = 5  # items of a request whose types are shown
MAX_READ_BYTES = 64 * 1024  # of an array, in which these items are searched
RESULT_FIELDS = dict.fromkeys(
    (
        *("organization_id", "provider", "created_at", "items", "body", "due", "tallied_at"),
        *("counted_events", "repeated_events", "unmatched_events", "refused_events", "refused"),
    ),
    1,
)
_SEPARATORS = re.compile(r"[\s,]*")
_TYPE = re.compile(r"[\w.:-]{1,60}", re.ASCII)
_decoder = json.JSONDecoder(strict=False, parse_int=float)


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that Matchback accepted, and the result of its events.

    Attributes:
        types: stored types of the first events, or the processor's own types of a payment.
        items: number of reported events.
        is_tallied: whether a worker has processed it.
        reason: why the first unusable item is not usable.
    """

    at: datetime
    types: tuple[str, ...]
    items: int
    is_tallied: bool
    counted: int = 0
    repeated: int = 0
    unmatched: int = 0
    unusable: int = 0
    reason: str = ""


@dataclass(frozen=True)
class RejectedRequests:
    """The rejected requests for one reason.

    Attributes:
        at: time of the last one.
        first_at: time of the first one.
    """

    at: datetime
    reason: RejectionReason
    count: int
    first_at: datetime


RecentRequest = ReceivedRequest | RejectedRequests


@dataclass(frozen=True)
class LastRequest:
    """The time of a provider's last request, and whether Matchback accepted it."""

    at: datetime
    is_received: bool


def list_recent_requests(organization_id: ObjectId, provider: str) -> list[RecentRequest]:
    """Return the last ten requests of a provider, newest first.

    All rejected requests for one reason are one of them.
    """
    of = {"organization_id": organization_id, "provider": provider}
    rows = collection(get_db(), WebhookDeliveryRow).find(
        of, RESULT_FIELDS, sort=[("_id", -1)], limit=MAX_RECENT_REQUESTS
    )
    received: list[RecentRequest] = [_describe_delivery(row) for row in rows]
    noted = WebhookRejections.objects(**of).first()
    rejected = _describe_rejections(noted.reasons) if noted else []
    newest = sorted([*received, *rejected], key=lambda one: one.at, reverse=True)
    return newest[:MAX_RECENT_REQUESTS]


def find_last_requests(organization_id: ObjectId) -> dict[str, LastRequest]:
    """Return the last request of each provider that has sent one."""
    found: dict[str, LastRequest] = {}
    for provider in PROVIDERS:
        of = {"organization_id": organization_id, "provider": provider}
        row = get_db().deliveries.find_one(of, {"created_at": 1}, sort=[("_id", -1)])
        if row:
            found[provider] = LastRequest(row["created_at"], is_received=True)
    for noted in WebhookRejections.objects(organization_id=organization_id):
        last = found.get(noted.provider)
        if last is None or last.at < noted.updated_at:
            found[noted.provider] = LastRequest(noted.updated_at, is_received=False)
    return found


def _describe_rejections(reasons: Mapping[str, Mapping[str, Any]]) -> list[RecentRequest]:
    return [
        RejectedRequests(note["last_at"], reason, note["count"], note["first_at"])
        for reason in REJECTION_REASONS
        if (note := reasons.get(reason))
    ]


def _describe_delivery(row: WebhookDeliveryRow) -> ReceivedRequest:
    refused = row.get("refused") or []
    return ReceivedRequest(
        at=row["created_at"],
        types=_read_types(PROVIDERS[row["provider"]], row),
        items=row["items"],
        is_tallied="tallied_at" in row,
        counted=row.get("counted_events") or 0,
        repeated=row.get("repeated_events") or 0,
        unmatched=row.get("unmatched_events") or 0,
        unusable=row.get("refused_events") or 0,
        reason=refused[0]["reason"] if refused else "",
    )


def _read_types(provider: Provider, row: WebhookDeliveryRow) -> tuple[str, ...]:
    """Return the types of the first items, each once."""
    types: dict[str, None] = {}
    for item in _first_items(bytes(row["body"])):
        if provider.kind == "payments":
            types |= dict.fromkeys(_own_type(item))
            continue
        try:
            events = provider.read_events(row["organization_id"].binary, item)
        except Unusable:
            continue
        types |= dict.fromkeys([event.type for event in events] or _own_type(item))
    return tuple(types)


def _own_type(item: Any) -> Iterator[str]:
    """Yield the provider's name of a type, if the item has one."""
    type_ = item.get("type") if isinstance(item, Mapping) else None
    if isinstance(type_, str) and _TYPE.fullmatch(type_):
        yield type_


def _first_items(body: bytes) -> Iterator[Any]:
    """Yield the first items. Read only the beginning of a large array."""
    text = body[:MAX_READ_BYTES].decode("utf-8", "replace").strip()
    if not text.startswith("["):
        with contextlib.suppress(Unusable):
            yield from parse_items(body)[:1]
        return
    place = 1
    for _ in range(MAX_READ_ITEMS):
        start = _SEPARATORS.match(text, place)
        try:
            item, place = _decoder.raw_decode(text, start.end() if start else place)
        except (ValueError, RecursionError):
            return
        yield item
