"""The sender in the test's own process, with receivers in the same event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from bson import ObjectId
from cryptography.fernet import Fernet
from mongoengine import get_db

from config.settings import get_settings
from documents.outgoing.event_delivery import EventDelivery, build_delivery_rows
from documents.outgoing.webhook_endpoint import WebhookEndpoint, list_subscribed
from documents.values.time import now
from jobs.sender.lanes import open_lanes
from jobs.sender.sender import Sender

WAIT_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _sealed_and_loopback(real_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a master key, and let addresses of this machine receive events."""
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", Fernet.generate_key().decode())
    monkeypatch.setenv("MATCHBACK_WEBHOOK_PRIVATE_NETWORKS", "127.0.0.0/8")
    get_settings.cache_clear()


def add_endpoint(url: str, organization_id: ObjectId | None = None) -> WebhookEndpoint:
    endpoint, _ = WebhookEndpoint.add(organization_id or ObjectId(), url)
    return endpoint


def add_events(endpoint: WebhookEndpoint, count: int = 1) -> list[ObjectId]:
    """Store events, as a settling transaction does. Return the IDs of the deliveries."""
    known = list_subscribed(endpoint.organization_id, get_db())
    own = [one for one in known if one["_id"] == endpoint.id]
    rows = [
        row
        for number in range(count)
        for row in build_delivery_rows(
            own,
            "import.finished",
            {"number": number},
            organization_id=endpoint.organization_id,
            record_id=ObjectId(),
            version=1,
        )
    ]
    get_db().event_deliveries.insert_many(rows)
    return [row["_id"] for row in rows]


def list_deliveries(endpoint: WebhookEndpoint) -> Sequence[EventDelivery]:
    return list(EventDelivery.objects(endpoint_id=endpoint.id).order_by("id"))


def count_states(endpoint: WebhookEndpoint) -> dict[str, int]:
    states = [one.state for one in list_deliveries(endpoint)]
    return {state: states.count(state) for state in sorted(set(states))}


def reload(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    return WebhookEndpoint.fetch(endpoint.organization_id, endpoint.id)


def make_due(endpoint: WebhookEndpoint) -> None:
    """Make all deliveries due now."""
    change = {"$set": {"next_attempt_at": now()}, "$unset": {"failed_at": "", "delivered_at": ""}}
    get_db().event_deliveries.update_many({"endpoint_id": endpoint.id}, change)


@asynccontextmanager
async def sending(
    requests: int = 64, attempt_seconds: float = 15.0, is_lost: Callable[[], bool] = lambda: False
) -> AsyncIterator[Sender]:
    """Run a sender within the block. An error in it fails the test."""
    stopping = asyncio.Event()
    lanes = open_lanes(get_settings().webhook_private_networks, requests, attempt_seconds)
    sender = Sender(lanes)
    task = asyncio.create_task(sender.run(stopping, is_lost))
    try:
        yield sender
    finally:
        stopping.set()
        await task
        await lanes.close()


async def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited too long for {what}") from None
