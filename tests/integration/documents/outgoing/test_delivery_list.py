"""Lists of deliveries and resending read only what they need, whatever the other deliveries are."""

from collections.abc import Iterator
from typing import Any

import mongoengine
import pytest
from bson import ObjectId
from mongoengine import get_db

from config import database
from documents.outgoing import resend
from documents.outgoing.delivery_list import list_deliveries
from documents.outgoing.event_delivery import DeliveryState
from documents.outgoing.resend import ResendPass
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.values.time import now
from tools.testbed.commands import CommandRecorder, read_command_name

LIMIT, PART = 10, 20
OF = {"organization_id": ObjectId(), "endpoint_id": ObjectId()}


def make_rows(number: int, **state: Any) -> list[dict[str, Any]]:
    event = {"type": "import.finished", "record_id": ObjectId(), "version": 1, "at": now()}
    made = {**OF, **event, "event_id": ObjectId(), "data": {}, **state}
    return [{"_id": ObjectId(), **made} for _ in range(number)]


@pytest.fixture
def commands(real_database: str) -> CommandRecorder:
    """Store few deliveries of each state between many of each other state."""
    states: list[dict[str, Any]] = [
        {"failed_at": now()},
        {"delivered_at": now()},
        {"next_attempt_at": now()},
    ]
    for state in (*states, *reversed(states)):
        get_db().event_deliveries.insert_many(make_rows(400, **state))
    mongoengine.disconnect_all()
    listener = CommandRecorder()
    database.connect_database(event_listeners=[listener])
    return listener


@pytest.fixture
def endpoint(commands: CommandRecorder) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=OF["endpoint_id"],
        organization_id=OF["organization_id"],
        url="https://crm.example.edu/",
        secret="x",
        resend_requested_at=now(),
    ).insert()


def explain_finds(commands: CommandRecorder) -> Iterator[Any]:
    """Yield the execution of each query for deliveries, with its hint."""
    asked = ("find", "filter", "sort", "limit", "hint")
    for command in list(commands.sent):
        if read_command_name(command) == "find" and command["find"] == "event_deliveries":
            explained = {name: command[name] for name in asked if name in command}
            yield get_db().command("explain", explained, verbosity="executionStats")


@pytest.mark.parametrize("state", [None, "pending", "failed", "delivered"])
def test_each_page_of_deliveries_costs_the_same(
    commands: CommandRecorder, endpoint: WebhookEndpoint, state: DeliveryState | None
) -> None:
    cursor = None
    for _ in range(60):
        page = list_deliveries(endpoint, state, LIMIT, cursor)
        assert len(page.records) == LIMIT
        assert {one.state for one in page.records} <= {state or page.records[0].state}
        cursor = page.next_cursor
    executions = list(explain_finds(commands))
    assert len(executions) == 60
    for found in executions:
        assert "SORT" not in str(found["queryPlanner"]["winningPlan"])
        assert found["executionStats"]["totalDocsExamined"] <= LIMIT + 1
        assert found["executionStats"]["totalKeysExamined"] <= LIMIT + 1


def test_each_part_of_a_resend_costs_the_same(
    commands: CommandRecorder, endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "DELIVERIES_PER_PART", PART)
    walk, parts = ResendPass(endpoint), 1
    while walk.resend_part():
        parts += 1
    assert parts == 800 / PART + 1
    pending = {**OF, "next_attempt_at": {"$type": "date"}}
    assert get_db().event_deliveries.count_documents(pending) == 1600
    updates = [one for one in commands.sent if read_command_name(one) == "update"]
    assert all(
        len(update["q"]["_id"]["$in"]) <= PART
        for command in updates
        if command["update"] == "event_deliveries"
        for update in command["updates"]
    )
    failed = {"$set": {"failed_at": now()}, "$unset": {"next_attempt_at": ""}}
    get_db().event_deliveries.update_many({}, failed)
    for found in explain_finds(commands):
        assert found["executionStats"]["totalKeysExamined"] <= PART + 1
