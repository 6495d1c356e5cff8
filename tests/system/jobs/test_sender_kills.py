"""A sender that is killed loses no event, and one that is stopped repeats none."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bson import ObjectId
from cryptography.fernet import Fernet
from mongoengine import get_db

from config.settings import get_settings
from documents.outgoing.event_delivery import build_delivery_rows
from documents.outgoing.webhook_endpoint import WebhookEndpoint, list_subscribed
from service.local.command import build_sender_command
from service.local.supervisor import Part, Supervisor
from tools.testbed.coroutines import run_coroutine
from tools.testbed.receiver import OK_RESPONSE, ReceivedRequest, Receiver, run_receiver
from tools.testbed.stack import Servers, wait_until

EVENT_COUNT = 400


@contextmanager
def run_receiver_thread() -> Iterator[Receiver]:
    """Run a receiver that takes a few milliseconds for each event."""
    started, loops, ready = list[Receiver](), list[asyncio.AbstractEventLoop](), threading.Event()
    ended = asyncio.Event()

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(OK_RESPONSE)

    async def serve() -> None:
        async with run_receiver(answer) as receiver:
            started.append(receiver)
            loops.append(asyncio.get_running_loop())
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: run_coroutine(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield started[0]
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join()


@pytest.fixture
def sender(
    real_database: str, real_servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Supervisor, Part]]:
    """Return a supervisor, and the part of a sender that it can start."""
    environment = {
        "MATCHBACK_MONGODB_URI": real_database,
        "MATCHBACK_REDIS_URL": real_servers.redis_url,
        "MATCHBACK_MASTER_KEYS": Fernet.generate_key().decode(),
        "MATCHBACK_WEBHOOK_PRIVATE_NETWORKS": "127.0.0.0/8",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    supervisor = Supervisor(say=lambda text: None)
    command = build_sender_command()
    try:
        yield supervisor, Part("sender", command, tmp_path / "sender.log", environment)
    finally:
        supervisor.stop()


def store_events(url: str) -> None:
    organization_id = ObjectId()
    WebhookEndpoint.add(organization_id, url)
    endpoints = list_subscribed(organization_id, get_db())
    of = {"organization_id": organization_id, "record_id": ObjectId(), "version": 1}
    rows = [
        row
        for number in range(EVENT_COUNT)
        for row in build_delivery_rows(endpoints, "import.finished", {"number": number}, **of)  # type: ignore[arg-type]
    ]
    get_db().event_deliveries.insert_many(rows)


def count_delivered() -> int:
    count: int = get_db().event_deliveries.count_documents({"delivered_at": {"$type": "date"}})
    return count


def list_numbers(receiver: Receiver) -> list[int]:
    return sorted(one["data"]["number"] for one in receiver.events)


def await_requests(receiver: Receiver, count: int) -> None:
    wait_until(lambda: len(receiver.requests) > count, f"{count} requests")


def test_a_killed_sender_loses_no_event(sender: tuple[Supervisor, Part]) -> None:
    supervisor, part = sender
    with run_receiver_thread() as receiver:
        store_events(receiver.url)
        for kills in range(3):
            supervisor.start(part)
            await_requests(receiver, 100 * kills + 30)
            assert part.process
            part.process.kill()
            part.process.wait()
            supervisor.parts.clear()
            get_db().leases.delete_many({})  # otherwise it expires after 20 seconds
        assert count_delivered() < EVENT_COUNT
        supervisor.start(part)
        wait_until(lambda: count_delivered() == EVENT_COUNT, "all events")
        assert sorted(set(list_numbers(receiver))) == list(range(EVENT_COUNT))


def test_a_stopped_sender_finishes_its_requests(sender: tuple[Supervisor, Part]) -> None:
    supervisor, part = sender
    with run_receiver_thread() as receiver:
        store_events(receiver.url)
        supervisor.start(part)
        await_requests(receiver, 50)
        assert part.process
        part.process.send_signal(signal.SIGTERM)
        assert part.process.wait(20) == 0
        assert 50 < len(receiver.requests) < EVENT_COUNT
        assert count_delivered() == len(receiver.requests)
        assert get_db().leases.find_one({"_id": "sender"}) is None
        supervisor.parts.clear()
        supervisor.start(part)
        wait_until(lambda: count_delivered() == EVENT_COUNT, "all events")
        assert list_numbers(receiver) == list(range(EVENT_COUNT))
