"""During an upgrade, each version reads the other's messages, or leaves them to the sweep."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from huey.api import Huey
from mongoengine import get_db

from config.queue import QUEUE_NAME, huey, make_queue
from documents.shared_accounts.shared_post import SharedPost
from documents.storage.marks import DUE_FILTER
from jobs import tasks
from jobs.callbacks import JOB_BY_DOCUMENT
from jobs.sweep import sweep_due_records
from tools.testbed.cast import Api, University, create_university, make_event

# The first version wrote exactly these bytes, each with one ID.
FIRST_FORMAT = (
    '{{"id":"dbc74e56-1e4f-4174-a350-6241affc1442","name":"jobs.tasks.{task}","retries":0,'
    '"retry_delay":0,"args":["{id}"],"kwargs":{{}},"retry_backoff":0}}'
)
# The first version's worker reads these fields, and rejects a message with any other field.
FIRST_FIELDS = {
    *("id", "name", "eta", "retries", "retry_delay", "priority", "args", "kwargs", "on_complete"),
    *("on_error", "expires", "expires_resolved", "timeout", "chord_config", "retry_backoff"),
}
ID = "6565a1f2c3d4e5f601234567"


@pytest.fixture
def redis_queue(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Huey:
    """Return a Huey without tasks, on the same real queue as the service's."""
    other = make_queue(QUEUE_NAME)
    monkeypatch.setattr(huey, "storage", other.storage)
    return other


@pytest.fixture
def alice(redis_queue: Huey, real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def work_off(worker: Huey) -> Iterator[str]:
    """Process all messages in the queue as a worker does. Return the names of the jobs."""
    while (task := worker.dequeue()) is not None:
        worker.execute(task)
        yield type(task).__name__


def test_messages_of_the_first_version_are_read(
    alice: University, wakeups: list[tuple[str, str]]
) -> None:
    """A gift arrives before its donor and email exist, with one wake-up of every kind."""
    spring = alice.fundraiser()
    alice.set_webhook_key()
    alice.gift(
        spring, donor={"name": "Bob", "email": "bob@example.edu"}, donated_at="2026-05-02T00:00:00Z"
    )
    mailing = alice.mailing(spring, cost={"amount": 500, "currency": "USD"})
    email = alice.email(spring, mailing_id=mailing, sent_at="2026-05-01T00:00:00Z")
    assert alice.deliver([make_event(email, "open", 1_790_000_000)]).status == 202
    assert {task for task, _ in wakeups} == {
        task.task_class.__name__
        for document, task in JOB_BY_DOCUMENT.items()
        if document is not SharedPost  # the first version had no shared accounts
    }
    for task, id_ in wakeups:
        huey.storage.enqueue(FIRST_FORMAT.format(task=task, id=id_).encode())
    assert sorted(work_off(huey)) == sorted(task for task, _ in wakeups)
    for name in ("donations", "emails", "mailings", "deliveries"):
        assert get_db()[name].count_documents(DUE_FILTER) == 0
    row = get_db().emails.find_one({"_id": ObjectId(email)})
    assert (row["opens"], row["donations_count"], row["raised"]) == (1, 1, {"USD": 2500})


@pytest.mark.parametrize(
    "task", JOB_BY_DOCUMENT.values(), ids=lambda task: task.task_class.__name__
)
def test_a_message_of_one_id_has_the_first_versions_format(redis_queue: Huey, task: Any) -> None:
    task(ID)
    told = json.loads(redis_queue.storage.dequeue())
    first = json.loads(FIRST_FORMAT.format(task=task.task_class.__name__, id=ID))
    assert told.keys() <= FIRST_FIELDS
    assert isinstance(told["id"], str)
    of_the_job = ("name", "args", "kwargs", "retries", "retry_delay", "eta")
    assert {name: told.get(name) for name in of_the_job} == {
        name: first.get(name) for name in of_the_job
    }


def test_messages_unreadable_to_the_first_version_are_left_to_the_sweep(
    alice: University, redis_queue: Huey
) -> None:
    """The message has many IDs, but the old job takes one.

    The job fails, and due records stay due.
    """
    done: list[str] = []

    def update_email_donation(donation_id: str) -> None:
        done.append(donation_id)

    update_email_donation.__module__ = tasks.__name__
    redis_queue.task()(update_email_donation)
    spring = alice.fundraiser()
    gifts = [alice.gift(spring) for _ in range(3)]
    tasks.update_email_donation(*gifts)
    tasks.update_email_donation(gifts[0])
    assert list(work_off(redis_queue)) == ["update_email_donation"] * 2
    assert done == gifts[:1]
    assert get_db().donations.count_documents(DUE_FILTER) == 3
    sweep_due_records()
    assert alice.report(spring)["donations"]["count"] == 3
