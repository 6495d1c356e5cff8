"""Slow and dead receivers delay no other, and use bounded memory, connections and requests."""

import asyncio

import pytest
from mongoengine import get_db

from documents.outgoing.webhook_endpoint import WebhookEndpoint
from jobs.sender import lanes
from jobs.sender.endpoint_queue import FAST_BATCH
from tests.integration.jobs.sender.conftest import (
    add_endpoint,
    add_events,
    count_states,
    sending,
    wait_for,
)
from tools.testbed.coroutines import run_coroutine
from tools.testbed.receiver import answer_with, build_response, hang, run_receiver


def count_delivered(endpoint: WebhookEndpoint) -> int:
    own = {"endpoint_id": endpoint.id, "delivered_at": {"$type": "date"}}
    count: int = get_db().event_deliveries.count_documents(own)
    return count


def test_a_hanging_receiver_delays_no_other() -> None:
    async def run() -> None:
        async with run_receiver(hang) as hanging, run_receiver() as fast:
            slow_endpoint, fast_endpoint = add_endpoint(hanging.url), add_endpoint(fast.url)
            add_events(slow_endpoint, 100)
            add_events(fast_endpoint, 100)
            async with sending(requests=4, attempt_seconds=60.0):
                await wait_for(lambda: count_delivered(fast_endpoint) == 100, "the fast receiver")
                assert len(hanging.requests) == 1
                hanging.hang_up()

    run_coroutine(run())


def test_many_hanging_receivers_fill_only_their_own_lane() -> None:
    async def run() -> None:
        async with run_receiver(hang) as hanging, run_receiver() as fast:
            for _ in range(20):
                add_events(add_endpoint(hanging.url), 5)
            endpoint = add_endpoint(fast.url)
            async with sending(requests=4, attempt_seconds=0.5):
                await wait_for(lambda: len(hanging.requests) >= 21, "the second attempts")
                for number in range(1, 6):
                    add_events(endpoint)
                    begun = asyncio.get_running_loop().time()
                    await wait_for(
                        lambda number=number: count_delivered(endpoint) == number,  # type: ignore[misc]
                        "the fast receiver",
                    )
                    assert asyncio.get_running_loop().time() - begun < 5
                    assert hanging.open_connections <= 8

    run_coroutine(run())


def test_a_dead_receiver_gets_few_requests_whatever_waits() -> None:
    async def run() -> None:
        async with run_receiver(answer_with(build_response(503))) as dead:
            endpoint = add_endpoint(dead.url)
            add_events(endpoint, 1_000)
            async with sending():
                await asyncio.sleep(2.0)
            assert 3 <= len(dead.requests) <= 6
            assert count_states(endpoint) == {"pending": 1_000}

    run_coroutine(run())


def test_memory_holds_a_bounded_part_of_a_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MAX_LOADED_DELIVERIES", 600)
    most = 0

    async def run() -> None:
        nonlocal most
        async with run_receiver() as first, run_receiver() as second:
            endpoints = [add_endpoint(first.url), add_endpoint(second.url)]
            for endpoint in endpoints:
                add_events(endpoint, 1_000)
            async with sending() as sender:
                while sum(map(count_delivered, endpoints)) < 2_000:
                    loaded = sum(len(one.unfinished) for one in sender._queues.values())
                    most = max(most, loaded)
                    await asyncio.sleep(0.05)
            assert len(first.requests) == len(second.requests) == 1_000

    run_coroutine(run())
    assert most <= 600 + FAST_BATCH
