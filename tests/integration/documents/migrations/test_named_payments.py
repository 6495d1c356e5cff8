"""Payments stored before erasure had an index get their digests, while people are erased."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.erased.mailboxes import mailbox_digest
from documents.migrations import migration as module
from documents.migrations.migration import (
    MigrationStatus,
    list_pending,
    mark_all_finished,
    run_migrations,
)
from documents.migrations.steps import MIGRATIONS
from documents.payments.named_by import MIGRATION, named_by
from documents.privacy import payments
from tests.integration.documents.payments.test_payments import post
from tests.integration.documents.privacy.test_erased_mentions import ANN, erase, traces
from tests.integration.documents.privacy.test_erased_payments import connect, others
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    FIRST_EVENT_AT,
    make_charge_event,
    post_stripe_event,
    set_metadata,
)

STEP = tuple(one for one in MIGRATIONS if one.number == MIGRATION)
STORED = 12


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    """Store Alice's payments as the previous version did. Several name or mention Ann."""
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 1)
    mark_all_finished(MIGRATIONS)
    alice = connect(create_university("Alice's University", Api.in_process(real_client)))
    spring = alice.fundraiser()
    others(alice, STORED)
    post_stripe_event(
        alice,
        set_metadata(make_charge_event("succeeded", 1, billing_details=ANN), fundraiser_id=spring),
    )
    post(alice, "own", float(FIRST_EVENT_AT), UNKNOWN_ID, donor=ANN)
    post(alice, "bobs", float(FIRST_EVENT_AT), spring, recurring_id="with ann%40example.edu")
    settle_all()
    gone = {"named_by": "", "stripped_for": ""}
    get_db().payments.update_many({}, {"$unset": gone})
    get_db().migrations.delete_one({"_id": MIGRATION})
    return alice


def run_page() -> None:
    """Change one page, and end the process that migrates."""
    running: Iterator[MigrationStatus] = run_migrations(STEP)
    next(running)
    assert isinstance(running, Generator)
    running.close()


def stored() -> list[Any]:
    return list(get_db().payments.find().sort("_id", 1))


def assert_named() -> None:
    assert list_pending(STEP) == []
    for row in stored():
        assert row["named_by"] == named_by(row)


def test_a_killed_migration_resumes_and_a_second_one_changes_nothing(
    alice: University,
) -> None:
    pages = 0
    while list_pending(STEP):
        run_page()
        pages += 1
    assert pages > STORED
    assert_named()
    once = stored()
    assert mailbox_digest(ObjectId(alice.id), ANN["email"]) in str(once)
    get_db().migrations.delete_one({"_id": MIGRATION})
    list(run_migrations(STEP))
    assert stored() == once


@pytest.mark.parametrize("pages", [0, 1, 5, STORED, STORED + 2])
def test_an_erasure_during_the_migration_misses_nothing(alice: University, pages: int) -> None:
    for _ in range(pages):
        run_page()
    erase(alice)
    assert traces() == []
    list(run_migrations(STEP))
    assert traces() == []
    assert mailbox_digest(ObjectId(alice.id), ANN["email"]) not in str(stored())
    assert_named()


def test_webhooks_and_erasures_can_arrive_between_pages(alice: University) -> None:
    spring, number = alice.fundraiser(), 0
    for _ in run_migrations(STEP):
        number += 1
        donor = {"name": f"Dee {number}", "email": f"dee{number}@example.edu"}
        post(alice, f"a{number}", float(FIRST_EVENT_AT), spring, donor=donor)
        post(alice, "own", float(FIRST_EVENT_AT + number), UNKNOWN_ID, donor=donor)
        settle_all()
        erase(alice, donor)
        assert traces(f"dee{number}@", f"dee {number}") == []
    assert number > STORED
    assert_named()
    erase(alice)
    erase(alice, BOB)
    assert traces("ann@", "ann able", "bob@") == []


@pytest.mark.parametrize("names", [[], ["-"], ["another version's"], None])
def test_incomplete_digests_of_an_earlier_version_are_corrected(
    alice: University, names: Any
) -> None:
    """The earlier version also changes texts, but keeps their old digests."""
    get_db().payments.update_many({}, {"$set": {"named_by": names}})
    list(run_migrations(STEP))
    assert_named()


def test_after_the_migration_only_the_index_is_read(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    real: Callable[[], bool] = payments._has_unnamed

    def note() -> bool:
        asked.append(real())
        return asked[-1]

    monkeypatch.setattr(payments, "_has_unnamed", note)
    erase(alice, BOB)
    list(run_migrations(STEP))
    erase(alice)
    assert asked[0]
    assert not asked[-1]
    assert traces("ann@", "bob@") == []
