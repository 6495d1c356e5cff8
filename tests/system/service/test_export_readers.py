"""Exports over real connections: slow readers, clients that stop reading, and outages."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest
from bson import ObjectId
from mongoengine import get_db

from documents.donation import Donation
from documents.storage.record import build_record_row
from tests.system.service.wire import Wire, head, wire
from tools.testbed.cast import University, create_university
from tools.testbed.stack import WAIT_TIMEOUT_SECONDS, Stack, wait_until

PATH = "/v1/donations/export"
GIFTS = 40_000  # 20 MB, far more than the kernel's buffers hold
WINDOW = 4096  # bytes that a slow client's kernel reads ahead
SLOW_READERS = 4
LAST_CHUNK = b"\r\n0\r\n\r\n"
PATIENCE_SECONDS = 3.0  # a limit for hangs; the machine may be busy
MAX_GROWTH_BYTES = 48 * 1024 * 1024


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    return {"MATCHBACK_WEB_WORKERS": "1", "MATCHBACK_WEB_THREADS": "2"}


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """Return one service for all tests. Each test has its own university."""
    return shared_stack


@pytest.fixture
def alice(stack: Stack) -> University:
    place = create_university("Alice's University", stack.api())
    fundraiser = ObjectId(place.fundraiser())
    rows = [
        build_record_row(
            Donation,
            organization_id=ObjectId(place.id),
            fundraiser_id=fundraiser,
            amount=number + 1,
            currency="USD",
            donor_name="Bob Baker",
            donor_email="",
            status="pending",
            donated_at=Donation.created_at.default(),
        )
        for number in range(GIFTS)
    ]
    get_db().donations.insert_many(rows, ordered=False)
    return place


@contextmanager
def reading(stack: Stack, place: University, window: int = 0) -> Iterator[Wire]:
    with wire(stack, head(PATH, method="GET", key=place), window) as opened:
        answer = opened.answer()
        assert answer.status == 200
        assert answer.closes
        yield opened


def measure_request(stack: Stack, place: University) -> float:
    began = time.monotonic()
    assert place.call("GET", "/v1/donations?limit=1").status == 200
    return time.monotonic() - began


def measure_memory(stack: Stack) -> int:
    (worker,) = psutil.Process(stack.pid("web")).children()
    return int(worker.memory_info().rss)


def download(stack: Stack, place: University) -> list[int]:
    headers = {"Authorization": f"Bearer {place.key}"}
    with httpx.stream("GET", stack.url + PATH, headers=headers, timeout=60) as answer:
        return [json.loads(line)["amount"] for line in answer.iter_lines()]


def test_a_large_export_is_complete_and_needs_little_memory(
    stack: Stack, alice: University
) -> None:
    measure_request(stack, alice)
    before = measure_memory(stack)
    assert sorted(download(stack, alice)) == list(range(1, GIFTS + 1))
    assert measure_memory(stack) - before < MAX_GROWTH_BYTES


def test_slow_readers_hold_no_thread_and_get_their_lines(stack: Stack, alice: University) -> None:
    """There are more slow readers than threads. The next export of the organization must wait."""
    with ExitStack() as opened:
        slow = [opened.enter_context(reading(stack, alice, WINDOW)) for _ in range(SLOW_READERS)]
        for _ in range(10):
            for each in slow:
                assert each.socket.recv(1000)
            assert measure_request(stack, alice) < PATIENCE_SECONDS
        answer = alice.call("GET", PATH)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "10"
    wait_until(lambda: alice.call("HEAD", PATH).status == 200, "the server to answer")
    wait_until(lambda: can_export(stack, alice), "the places of clients that left")


def can_export(stack: Stack, place: University) -> bool:
    with wire(stack, head(PATH, method="GET", key=place)) as opened:
        return opened.answer().status == 200


def test_an_outage_in_the_middle_cuts_the_connection(stack: Stack, alice: University) -> None:
    """The last chunk is missing, so a client knows that the export is incomplete."""
    headers = {"Authorization": f"Bearer {alice.key}"}
    failing = {"failCommands": ["find", "aggregate"], "errorCode": 11600, "closeConnection": True}
    admin = get_db().client.admin
    with httpx.stream("GET", stack.url + PATH, headers=headers, timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=failing)
        try:
            with pytest.raises(httpx.TransportError):
                list(lines)
        finally:
            admin.command("configureFailPoint", "failCommand", mode="off")
    wait_until(lambda: alice.call("GET", "/v1/organization").status == 200, "the database")
    assert len(download(stack, alice)) == GIFTS


def test_a_reload_cuts_exports_and_is_not_delayed(stack: Stack, alice: University) -> None:
    master = psutil.Process(stack.pid("web"))
    (old,) = master.children()
    with reading(stack, alice, WINDOW) as slow:
        assert slow.socket.recv(1000)
        os.kill(master.pid, signal.SIGHUP)
        gone, _ = psutil.wait_procs([old], WAIT_TIMEOUT_SECONDS)
        assert gone == [old]
        assert not slow.rest().endswith(LAST_CHUNK)
    wait_until(lambda: can_export(stack, alice), "the new process")
