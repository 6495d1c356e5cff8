"""Emails from before segments: the migration puts them into those of their mailbox providers."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.migrations import migration as module
from documents.migrations.migration import run_migrations
from documents.migrations.steps import MIGRATIONS, SEGMENTS_MIGRATION
from documents.recount import recount
from documents.values.time import now
from tests.integration.documents.migrations.layout import content
from tests.integration.documents.segments.test_segments import (
    describe,
    forget_matched,
    read_values,
)
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
SENT = {"sent_at": "2026-11-01T00:00:00Z"}
OURS = tuple(one for one in MIGRATIONS if one.number == SEGMENTS_MIGRATION)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    answer = alice.call("PATCH", "/v1/organization", {"email_domains": ["example.edu"]})
    assert answer.status == 200, answer.content
    return alice


def forget_segments() -> None:
    """Give emails and their contributions the form of the earlier version."""
    database = get_db()
    forget_matched()
    for email in database.emails.find():
        counted = [
            [text, *kept] for text, *targets in email["counted"] if (kept := drop_segments(targets))
        ]
        forgotten = {"segment_ids": "", "attributes": ""}
        database.emails.update_one(
            {"_id": email["_id"]}, {"$set": {"counted": counted}, "$unset": forgotten}
        )
    database.segments.delete_many({})
    database.users.update_many({}, {"$unset": {"attributes": ""}})
    database.migrations.delete_one({"_id": SEGMENTS_MIGRATION})


def drop_segments(targets: list[Any]) -> list[Any]:
    pairs = zip(targets[::2], targets[1::2], strict=True)
    return [one for pair in pairs if pair[0] != "segments" for one in pair]


def record(
    alice: University, fundraiser: str, address: str, school: str = "Law", **more: Any
) -> str:
    user: Any = {"name": "Bob", "email": address, "attributes": {"school": school}}
    return alice.email(fundraiser, user, **SENT, **more)


def test_former_emails_get_their_mailbox_provider_page_by_page(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, **SENT)
    bob, eve = (
        record(alice, spring, address, mailing_id=mailing)
        for address in ("bob@gmail.com", "eve@cs.example.edu")
    )
    moved, erased, due = (
        record(alice, spring, address)
        for address in ("dan@example.org", "fay@gmail.com", "gus@gmail.com")
    )
    gone = record(alice, spring, "hal@gmail.com")
    assert alice.call("DELETE", f"/v1/emails/{gone}").status == 204
    alice.deliver([make_event(bob, "click", AT)])
    alice.gift(spring, 700, {"name": "Bob", "email": "bob@gmail.com"})
    person = alice.get(f"/v1/emails/{erased}")["user_id"]
    assert alice.call("DELETE", f"/v1/users/{person}?erase=true").status == 204
    settle_all()
    forget_segments()
    person = alice.get(f"/v1/emails/{moved}")["user_id"]
    assert alice.call("PATCH", f"/v1/users/{person}", {"email": "dan@gmail.com"}).status == 200
    settle_all()
    before = alice.report(spring)
    assert list(read_values(alice, f"fundraisers/{spring}", "mailbox_provider")) == ["none"]
    get_db().emails.update_one({"_id": ObjectId(due)}, {"$set": {"due": now()}})

    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 1)
    pages: Any = run_migrations(OURS)
    next(pages)
    pages.close()  # the process stops
    new = record(alice, spring, "ida@gmail.com", "Medicine")  # traffic continues
    alice.deliver([make_event(eve, "click", AT + 60)])
    list(run_migrations(OURS))
    settle_all()

    assert list(recount.find_drifts()) == []
    found = read_values(alice, f"fundraisers/{spring}", "mailbox_provider")
    assert {value: describe(line) for value, line in found.items()} == {
        "gmail.com": (4, 1, 1, 1, 1, {"USD": 700}),  # Bob, Dan, Gus and Ida
        "own": (1, 1, 1, 0, 0, {}),
        "none": (1, 0, 0, 0, 0, {}),
    }
    found = read_values(alice, f"mailings/{mailing}", "mailbox_provider")
    assert {value: line["recorded"] for value, line in found.items()} == {"gmail.com": 1, "own": 1}
    schools = read_values(alice, f"fundraisers/{spring}", "school")
    assert {value: line["recorded"] for value, line in schools.items()} == {
        "Medicine": 1,
        "none": 5,
    }
    assert alice.report(spring)["donations"] == before["donations"]
    assert "segment_ids" not in (get_db().emails.find_one({"_id": ObjectId(gone)}) or {})
    assert alice.get(f"/v1/emails/{new}")["attributes"] == {"school": "Medicine"}
    done = content()
    get_db().migrations.delete_one({"_id": SEGMENTS_MIGRATION})
    list(run_migrations(OURS))
    assert content() == done
