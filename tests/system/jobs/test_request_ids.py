"""A request's ID travels with its wake-up into the job and the job's log lines."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import psutil
import pytest
from huey.registry import Message

from config.observability import context
from config.observability.context import MAX_CARRIED_REQUESTS, Origin
from jobs.tasks import update_email_donation
from jobs.wakeups import WakeUpBuffer
from tools.testbed.cast import BOB, create_university
from tools.testbed.stack import Stack, wait_until

huey = update_email_donation.huey
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
ID = "c" * 24
# Previous versions wrote and read this message.
OLD = (
    b'{"id":"7e52b54c-8bd5-44fa-8e8c-1f3b7e6f9c2d","name":"jobs.tasks.update_email_donation",'
    b'"retries":0,"retry_delay":0,"args":["cccccccccccccccccccccccc"],"kwargs":{},"retry_backoff":0}'
)


def read_as_before(data: bytes) -> Message:
    fields = orjson.loads(data)
    return Message(**{**fields, "args": tuple(fields["args"])})


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """Return one service for all tests. Each test has its own university."""
    return shared_stack


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record the messages that reach the queue."""
    messages: list[bytes] = []
    monkeypatch.setattr(huey.storage, "enqueue", lambda data, priority=None: messages.append(data))
    return messages


@pytest.fixture
def at_rest() -> Iterator[None]:
    yield
    context.clear_context()


def during(monkeypatch: pytest.MonkeyPatch, data: bytes) -> dict[str, Any]:
    """Return the context of log lines during a message's job."""
    told: list[dict[str, Any]] = []
    task = huey.deserialize_task(data)
    monkeypatch.setattr(
        type(task), "execute", lambda task: told.append(dict(context.get_log_fields()))
    )
    monkeypatch.setattr(huey, "is_revoked", lambda *_: False)
    monkeypatch.setattr(huey, "delete", lambda *_: None)
    huey.execute(task)
    return told[0]


def test_a_job_knows_its_request_ids(
    sent: list[bytes], monkeypatch: pytest.MonkeyPatch, at_rest: None
) -> None:
    buffer = WakeUpBuffer()
    context.set_request("request-1")
    buffer.put(update_email_donation, ID)
    assert buffer.flush(10)
    context.clear_context()
    told = during(monkeypatch, sent[0])
    assert told == {"job": "update_email_donation", "request_ids": ("request-1",)}
    assert context.get_log_fields() == {}, "later work still has the request's ID"


def test_work_without_a_request_has_no_request_id(
    sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = WakeUpBuffer()
    buffer.put(update_email_donation, ID)
    assert buffer.flush(10)
    assert ";" not in orjson.loads(sent[0])["id"]
    assert during(monkeypatch, sent[0]) == {"job": "update_email_donation"}


def test_a_message_for_many_requests_names_the_first_ones() -> None:
    many = [Origin((f"request-{number // 2}",), (TRACE,)) for number in range(500)]
    together = Origin.combine(many)
    assert together == Origin(
        tuple(f"request-{number}" for number in range(MAX_CARRIED_REQUESTS)), (TRACE,)
    )
    assert Origin.read(together.name("id")) == together
    assert len(Origin.combine([Origin(("x" * 100,), (TRACE,))] * 500).name("id")) < 300


def test_an_old_worker_reads_new_messages(sent: list[bytes]) -> None:
    with context.carry_origin(Origin(("request-1", "request-2"), (TRACE,))):
        update_email_donation(ID)
    message = read_as_before(sent[0])
    assert (message.name, message.args, message.kwargs) == (
        "jobs.tasks.update_email_donation",
        (ID,),
        {},
    )
    task = huey._registry.create_task(message)
    assert (type(task), task.args) == (update_email_donation.task_class, (ID,))


def test_a_new_worker_reads_old_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    task = huey.deserialize_task(OLD)
    assert (task.args, Origin.read(task.id)) == ((ID,), Origin())
    assert during(monkeypatch, OLD) == {"job": "update_email_donation"}


@pytest.mark.parametrize(
    "id_",
    [
        "",
        "id;",
        "id;request",
        "id;request=;trace=",
        "id;request=bob@example.edu,a b,x\n;trace=00-xyz",
        "id;later=1;;=;request=short",
    ],
)
def test_an_invalid_request_id_is_ignored(id_: str) -> None:
    assert Origin.read(id_) == Origin()


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert Origin.read("id;later=x;request=request-1") == Origin(("request-1",))


def test_the_workers_log_names_the_request(stack: Stack) -> None:
    """The web service receives Bob's gift, and the worker's log shows its processing."""
    alice = create_university("Alice's University", stack.api())
    spring = alice.fundraiser()
    gift = {"fundraiser_id": spring, "amount": 2500, "currency": "USD", "donor": BOB}
    made = alice.call("POST", "/v1/donations", gift, headers={"X-Request-Id": "bobs-gift-1"})
    assert made.status == 201
    about = wait_until(lines_of(stack, "worker", "request_ids", "bobs-gift-1"), "the job's line")
    assert {line["job"] for line in about} == {"update_email_donation"}
    assert {line["process"] for line in about} == {"worker"}
    access = wait_until(lines_of(stack, "web", "request_id", "bobs-gift-1"), "the request's line")
    assert (access[0]["route"], access[0]["status"]) == ("/v1/donations", 201)


def test_gunicorns_lines_have_the_same_format(stack: Stack) -> None:
    psutil.Process(stack.pid("web")).children()[0].kill()
    told = lines_of(stack, "web", "logger", "gunicorn.error")
    line = wait_until(told, "gunicorn's log line")[0]
    assert (line["level"], line["process"]) == ("error", "web")


def lines_of(stack: Stack, part: str, name: str, id_: str) -> Callable[[], list[dict[str, Any]]]:
    def find() -> list[dict[str, Any]]:
        whole = stack.log(part).rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line for line in lines if id_ in (line.get(name) or ())]

    return find
