"""Unmatched events that an earlier version stored with SendGrid's name for the message ID."""

from collections.abc import Generator

import pytest
from falcon import testing
from mongoengine import get_db

from documents.event import UNMATCHED_FILTER
from documents.migrations import migration as module
from documents.migrations.migration import run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.recount import recount
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_763_000_000
OURS = tuple(one for one in MIGRATIONS if one.number == 25)
MESSAGES = ("m1", "m2", "m3")


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def open_of(message: str, **more: object) -> dict[str, object]:
    return {"event": "open", "timestamp": AT, "email": "bob@example.edu"} | {
        "sg_message_id": message,
        **more,
    }


def store_former_events(alice: University) -> str:
    """Store an open of each message before its email is known, as the earlier version did."""
    email = alice.email(alice.fundraiser())
    alice.deliver([open_of(message) for message in MESSAGES])
    settle_all()
    renamed = {"$rename": {"message_id": "sg_message_id"}}
    assert get_db().events.update_many(UNMATCHED_FILTER, renamed).modified_count == 3
    return email


def learn_messages(alice: University, email: str) -> None:
    alice.deliver(
        [
            make_event(email, "delivered", AT - number, sg_message_id=message)
            for number, message in enumerate(MESSAGES, 60)
        ]
    )
    settle_all()


def test_former_events_are_renamed_in_pages_and_still_find_their_emails(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = store_former_events(alice)
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 1)
    get_db().migrations.delete_many({})
    steps = run_migrations(OURS)
    next(steps)
    assert isinstance(steps, Generator)
    steps.close()  # for the database, a kill after this page looks the same
    assert get_db().events.count_documents({"sg_message_id": {"$exists": True}}) == 2
    list(run_migrations(OURS))
    assert get_db().events.count_documents({"sg_message_id": {"$exists": True}}) == 0
    assert set(get_db().events.distinct("message_id")) == set(MESSAGES)
    learn_messages(alice, email)
    assert alice.get(f"/v1/emails/{email}")["opens"] == 3
    assert list(recount.find_drifts()) == []


def test_former_events_find_their_emails_before_the_migration(alice: University) -> None:
    email = store_former_events(alice)
    learn_messages(alice, email)
    assert alice.get(f"/v1/emails/{email}")["opens"] == 3
    assert not get_db().events.count_documents({"sg_message_id": {"$exists": True}})
