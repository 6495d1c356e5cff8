"""Every event reaches its endpoint, signed, at least once, whatever the receiver answers."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from mongoengine import get_db
from pymongo.errors import AutoReconnect
from standardwebhooks import Webhook

from config.settings import get_settings
from documents.outgoing.attempts import write_attempts
from documents.outgoing.signing_secret import open_endpoint_secrets
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.values.time import now
from jobs.sender.loading import Loaded, load_deliveries
from tests.integration.jobs.sender.conftest import (
    add_endpoint,
    add_events,
    count_states,
    list_deliveries,
    make_due,
    reload,
    sending,
    wait_for,
)
from tools.testbed.coroutines import run_coroutine
from tools.testbed.receiver import (
    OK_RESPONSE,
    ReceivedRequest,
    Receiver,
    answer_with,
    build_response,
    run_receiver,
)


def test_events_arrive_signed_and_once() -> None:
    async def run() -> None:
        async with run_receiver() as receiver:
            endpoint = add_endpoint(receiver.url)
            add_events(endpoint, 50)
            async with sending():
                await wait_for(lambda: count_states(endpoint) == {"delivered": 50}, "50 deliveries")
            (secret,) = open_endpoint_secrets(endpoint.to_mongo(), now())
            for request in receiver.requests:
                Webhook(secret).verify(request.body.decode(), request.headers)
            assert sorted(one["data"]["number"] for one in receiver.events) == list(range(50))
            assert receiver.requests[0].headers["webhook-id"] == receiver.events[0]["id"]
            assert receiver.connections <= 16
            delivery = list_deliveries(endpoint)[0]
            assert [one["status"] for one in delivery.attempts] == [204]
            assert reload(endpoint).succeeded_at is not None
            assert reload(endpoint).failing_since is None

    run_coroutine(run())


def test_both_secrets_verify_during_a_rotation() -> None:
    async def run() -> None:
        async with run_receiver() as receiver:
            endpoint = add_endpoint(receiver.url)
            (before,) = open_endpoint_secrets(endpoint.to_mongo(), now())
            endpoint, after = endpoint.rotate_secret()
            add_events(endpoint)
            async with sending():
                await wait_for(lambda: receiver.requests, "a request")
            for secret in (before, after):
                request = receiver.requests[0]
                Webhook(secret).verify(request.body.decode(), request.headers)

    run_coroutine(run())


def test_a_failed_attempt_is_noted_and_retried() -> None:
    async def run() -> None:
        answer = answer_with(build_response(500, b"secret details"), OK_RESPONSE)
        async with run_receiver(answer) as receiver:
            endpoint = add_endpoint(receiver.url)
            add_events(endpoint)
            async with sending():
                await wait_for(lambda: list_deliveries(endpoint)[0].attempts, "an attempt")
                (delivery,) = list_deliveries(endpoint)
                assert delivery.state == "pending"
                assert delivery.tries == 1
                assert delivery.attempts[0]["status"] == 500
                assert delivery.attempts[0]["error"] == "Status 500."
                pause = delivery.next_attempt_at - delivery.attempts[0]["at"]
                assert timedelta(seconds=4) <= pause <= timedelta(seconds=5)
                assert reload(endpoint).failing_since == delivery.attempts[0]["at"]
                make_due(endpoint)
                await wait_for(lambda: count_states(endpoint) == {"delivered": 1}, "the retry")
            assert reload(endpoint).failing_since is None
            assert [one["status"] for one in list_deliveries(endpoint)[0].attempts] == [500, 204]
            ids = {one.headers["webhook-id"] for one in receiver.requests}
            assert len(ids) == 1

    run_coroutine(run())


def test_retry_after_is_honoured() -> None:
    async def run() -> None:
        async with run_receiver(answer_with(build_response(503, retry_after="600"))) as receiver:
            endpoint = add_endpoint(receiver.url)
            add_events(endpoint, 2)
            async with sending():
                await wait_for(lambda: list_deliveries(endpoint)[0].attempts, "an attempt")
                await asyncio.sleep(0.5)
            assert len(receiver.requests) == 1  # the whole endpoint pauses
            delivery = list_deliveries(endpoint)[0]
            pause = delivery.next_attempt_at - delivery.attempts[0]["at"]
            assert pause == timedelta(seconds=600)

    run_coroutine(run())


def test_gone_disables_the_endpoint_at_once() -> None:
    async def run() -> None:
        async with run_receiver(answer_with(build_response(410))) as receiver:
            endpoint = add_endpoint(receiver.url)
            add_events(endpoint, 3)
            async with sending():
                await wait_for(lambda: reload(endpoint).disabled_reason, "the end of the endpoint")
                await wait_for(lambda: count_states(endpoint) == {"failed": 3}, "failed events")
            assert reload(endpoint).disabled_reason == "gone"
            assert reload(endpoint).disabled_at is not None
            assert len(receiver.requests) == 1

    run_coroutine(run())


def test_three_days_without_a_success_disable_the_endpoint() -> None:
    async def run() -> None:
        async with run_receiver(answer_with(build_response(500))) as receiver:
            endpoint = add_endpoint(receiver.url)
            first, *_ = add_events(endpoint, 3)
            long_ago = now() - timedelta(days=3, minutes=1)
            change = {"$set": {"first_attempt_at": long_ago, "tries": 20}}
            get_db().event_deliveries.update_one({"_id": first}, change)
            get_db().webhook_endpoints.update_one({}, {"$set": {"failing_since": long_ago}})
            async with sending():
                await wait_for(lambda: count_states(endpoint) == {"failed": 3}, "failed events")
            assert reload(endpoint).disabled_reason == "failing"
            assert len(receiver.requests) == 1

    run_coroutine(run())


def test_one_bad_event_fails_after_three_days_and_the_endpoint_stays() -> None:
    async def answer(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        is_bad = request.event["data"]["number"] == 0
        writer.write(build_response(422) if is_bad else OK_RESPONSE)

    async def run() -> None:
        async with run_receiver(answer) as receiver:
            endpoint = add_endpoint(receiver.url)
            first, *_ = add_events(endpoint, 5)
            long_ago = now() - timedelta(days=3, minutes=1)
            change = {"$set": {"first_attempt_at": long_ago, "tries": 20}}
            get_db().event_deliveries.update_one({"_id": first}, change)
            async with sending():
                await wait_for(
                    lambda: count_states(endpoint) == {"delivered": 4, "failed": 1}, "the ends"
                )
            assert reload(endpoint).enabled

    run_coroutine(run())


def test_events_of_disabled_and_deleted_endpoints_are_not_sent() -> None:
    async def run() -> None:
        async with run_receiver() as receiver:
            disabled, deleted = add_endpoint(receiver.url), add_endpoint(receiver.url)
            for endpoint in (disabled, deleted):
                add_events(endpoint, 3)
            disabled.amend(enabled=False)
            deleted.mark_deleted()
            async with sending():
                await wait_for(lambda: count_states(disabled) == {"failed": 3}, "failed events")
                await wait_for(lambda: count_states(deleted) == {}, "dropped events")
            assert receiver.requests == []

    run_coroutine(run())


def test_events_wait_while_the_master_key_is_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with run_receiver() as receiver:
            endpoints = [add_endpoint(receiver.url) for _ in range(3)]
            for endpoint in endpoints:
                add_events(endpoint)
            monkeypatch.setenv("MATCHBACK_MASTER_KEYS", "")
            get_settings.cache_clear()
            async with sending():
                await asyncio.sleep(1.0)
            assert receiver.requests == []
            assert [count_states(one) for one in endpoints] == [{"pending": 1}] * 3
            assert all(one.attempts == [] for one in list_deliveries(endpoints[0]))

    run_coroutine(run())
    assert caplog.text.count("secrets cannot be read") == 1


def test_staff_may_send_an_event_again_during_its_attempt() -> None:
    """The result of the attempt must not undo the request of the staff."""

    async def answer(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if len(receivers[0].requests) == 1:
            make_due(endpoints[0])
        writer.write(OK_RESPONSE)

    receivers: list[Receiver] = []
    endpoints: list[WebhookEndpoint] = []

    async def run() -> None:
        async with run_receiver(answer) as receiver:
            receivers.append(receiver)
            endpoints.append(add_endpoint(receiver.url))
            add_events(endpoints[0])
            async with sending():
                await wait_for(lambda: count_states(endpoints[0]) == {"delivered": 1}, "the end")
            assert len(receiver.requests) == 2

    run_coroutine(run())


def test_two_senders_at_once_lose_nothing() -> None:
    async def run() -> None:
        async with run_receiver() as receiver:
            endpoint = add_endpoint(receiver.url)
            add_events(endpoint, 100)
            async with sending(), sending():
                await wait_for(lambda: count_states(endpoint) == {"delivered": 100}, "all events")
            assert {one["data"]["number"] for one in receiver.events} == set(range(100))
            assert all(one.tries in (0, None) for one in list_deliveries(endpoint))

    run_coroutine(run())


def test_a_sender_that_lost_its_lease_stops() -> None:
    async def run() -> None:
        async with run_receiver() as receiver:
            endpoint = add_endpoint(receiver.url)
            add_events(endpoint, 3)
            async with sending(is_lost=lambda: True):
                await asyncio.sleep(0.5)
            assert receiver.requests == []

    run_coroutine(run())


def test_results_wait_while_mongodb_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request is repeated, because the result is written later."""
    failures = [AutoReconnect("gone")] * 2

    def fail_first(results: Any) -> None:
        if failures:
            raise failures.pop()
        write_attempts(results)

    monkeypatch.setattr("jobs.sender.results.write_attempts", fail_first)
    monkeypatch.setattr("jobs.sender.results.OUTAGE_PAUSE_SECONDS", 0.1)

    async def run() -> None:
        async with run_receiver() as receiver:
            endpoint = add_endpoint(receiver.url)
            add_events(endpoint, 10)
            async with sending():
                await wait_for(lambda: count_states(endpoint) == {"delivered": 10}, "all results")
            assert len(receiver.requests) == 10

    run_coroutine(run())


def test_a_search_that_fails_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [AutoReconnect("gone")] * 2

    def fail_first(limits: Any) -> Loaded:
        if failures:
            raise failures.pop()
        return load_deliveries(limits)

    monkeypatch.setattr("jobs.sender.sender.load_deliveries", fail_first)
    monkeypatch.setattr("jobs.sender.sender.OUTAGE_PAUSE_SECONDS", 0.1)

    async def run() -> None:
        async with run_receiver() as receiver:
            endpoint = add_endpoint(receiver.url)
            add_events(endpoint, 10)
            async with sending():
                await wait_for(lambda: count_states(endpoint) == {"delivered": 10}, "all events")
            assert len(receiver.requests) == 10

    run_coroutine(run())
