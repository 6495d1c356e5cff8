"""Loading of due deliveries, with few queries for many endpoints.

Disabled and deleted endpoints get no events, so loading ends their deliveries.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bson import ObjectId
from yarl import URL

from config.observability.outage import Outage
from documents.outgoing.bodies import build_bodies, format_event_id
from documents.outgoing.due_deliveries import (
    drop_deliveries,
    fail_pending,
    read_due,
    read_endpoints,
)
from documents.outgoing.signing_secret import open_endpoint_secrets
from documents.rows.event_delivery import DeliveryRow, EndpointRow
from documents.storage.sealed import UnsealableSecret
from documents.values.time import now
from jobs.sender.signing import Signer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedDelivery:
    """A delivery that is ready to be sent."""

    row: DeliveryRow
    event_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class LoadedEndpoint:
    """An endpoint and its first due deliveries."""

    row: EndpointRow
    url: URL
    signer: Signer
    deliveries: Sequence[LoadedDelivery]


@dataclass(slots=True)
class Loaded:
    """Endpoints with deliveries, and others whose deliveries still wait for a reason."""

    endpoints: list[LoadedEndpoint] = field(default_factory=list)
    postponed: set[ObjectId] = field(default_factory=set)
    ending: set[ObjectId] = field(default_factory=set)


_sealing = Outage(log.error, log.info)


def load_deliveries(limits: Mapping[ObjectId, int]) -> Loaded:
    """Load the first due deliveries of these endpoints, up to the limit of each."""
    loaded, at = Loaded(), now()
    signers: dict[ObjectId, tuple[EndpointRow, Signer]] = {}
    known = read_endpoints(limits)
    for id_ in limits:
        row = known.get(id_)
        if row is None or row.get("deleted_at") or row.get("disabled_reason"):
            if end_deliveries(id_, row):
                loaded.ending.add(id_)
        elif signer := _make_signer(row, at):
            signers[id_] = row, signer
        else:
            loaded.postponed.add(id_)
    rows = _read_due({id_: limits[id_] for id_ in signers}, at)
    bodies = _build_all([one for due in rows.values() for one in due])
    for id_, due in rows.items():
        row, signer = signers[id_]
        ready = [one for each in due if (one := bodies.get(each["_id"]))]
        if ready:
            loaded.endpoints.append(LoadedEndpoint(row, URL(row["url"]), signer, ready))
        else:
            loaded.postponed.add(id_)
    return loaded


def end_deliveries(endpoint_id: ObjectId, endpoint: EndpointRow | None) -> int:
    """End some deliveries of a disabled or deleted endpoint. Return how many."""
    if endpoint is None or endpoint.get("deleted_at"):
        return drop_deliveries(endpoint_id)
    return fail_pending(endpoint_id)


def _make_signer(row: EndpointRow, at: datetime) -> Signer | None:
    try:
        signer = Signer(open_endpoint_secrets(row, at))
    except UnsealableSecret as error:
        _sealing.begin(f"events wait, because their secrets cannot be read: {error}")
        return None
    _sealing.end("the secrets of webhook endpoints can be read again")
    return signer


def _read_due(limits: Mapping[ObjectId, int], at: datetime) -> dict[ObjectId, list[DeliveryRow]]:
    by_limit: defaultdict[int, list[ObjectId]] = defaultdict(list)
    for id_, limit in limits.items():
        by_limit[limit].append(id_)
    found: dict[ObjectId, list[DeliveryRow]] = {}
    for limit, ids in by_limit.items():
        found |= read_due(ids, limit, at)
    return found


def _build_all(rows: Sequence[DeliveryRow]) -> dict[ObjectId, LoadedDelivery]:
    """Build all bodies at once, or one by one if one of them cannot be built."""
    try:
        return _build(rows)
    except (KeyError, TypeError, ValueError):
        found: dict[ObjectId, LoadedDelivery] = {}
        for row in rows:
            try:
                found |= _build([row])
            except (KeyError, TypeError, ValueError):
                log.exception("event delivery %s cannot be built", row["_id"])
        return found


def _build(rows: Sequence[DeliveryRow]) -> dict[ObjectId, LoadedDelivery]:
    bodies: Iterable[bytes] = build_bodies(rows)
    return {
        row["_id"]: LoadedDelivery(row, format_event_id(row["event_id"]), body)
        for row, body in zip(rows, bodies, strict=True)
    }
