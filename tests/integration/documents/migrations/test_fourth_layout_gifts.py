"""Donations from before their matches had records of their own."""

import threading
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.api_key import ApiKey
from documents.match import FORMER_INDEXES, MATCH_INDEX, MATCHES_MIGRATION, has_all_matches
from documents.matching.policy import MatchPolicy
from documents.matching.preview import preview_policy
from documents.migrations import migration as module
from documents.migrations.indexes import create_missing_indexes, update_indexes
from documents.migrations.match_records import add_match_records
from documents.migrations.migration import MigrationStatus, list_pending, run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.migrations.upgrade import upgrade_database
from documents.recount import recount
from documents.storage.transaction import in_transaction
from jobs.sweep import sweep_due_records
from matchback.engine import Tx
from tests.integration.documents.migrations.layout import content, load
from tools.testbed.cast import Api, University
from tools.testbed.settled import settle_all

# That version's own code created this data. It has gifts of every rule, a plan, refunds, a dispute,
# deletions, pins, a failed gift and gifts that are still due.
OURS = tuple(one for one in MIGRATIONS if one.number == MATCHES_MIGRATION)


@pytest.fixture
def stored(real_database: str) -> dict[str, Any]:
    told = load("fourth_layout_gifts.json")
    update_indexes()
    return told


@pytest.fixture
def alice(stored: dict[str, Any], real_client: testing.TestClient) -> University:
    _, key = ApiKey.issue(ObjectId(stored["organization"]), "new", ["admin"])
    return University(stored["organization"], key, Api.in_process(real_client))


def list_gifts(alice: University, query: str) -> list[str]:
    """Return the IDs of a list, read in pages of five."""
    ids: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        after = f"&cursor={cursor}" if cursor else ""
        page = alice.get(f"/v1/donations?limit=5&{query}{after}")
        ids += [gift["id"] for gift in page["data"]]
        cursor = page["next_cursor"]
    return ids


def assert_lists(alice: University, stored: dict[str, Any]) -> None:
    for query, ids in stored["lists"].items():
        assert list_gifts(alice, query) == ids, query


def assert_matches() -> None:
    """Check that each donation has exactly the match record that it needs."""
    gifts = list(get_db().donations.find())
    right = {gift["_id"]: row for gift in gifts if (row := MATCH_INDEX.row(gift))}
    assert {row["_id"]: row for row in get_db().matches.find()} == right


def run_a_page() -> None:
    running: Iterator[MigrationStatus] = run_migrations(OURS)
    next(running)
    assert isinstance(running, Generator)
    running.close()  # For the database, a kill after this page looks the same.


def test_lists_and_counters_stay_at_every_page(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 7)
    pages = 0
    while list_pending(OURS):
        assert not has_all_matches()
        assert_lists(alice, stored)
        assert list(recount.find_drifts()) == []
        run_a_page()
        pages += 1
    assert pages > 3
    assert has_all_matches()
    assert_matches()
    assert_lists(alice, stored)
    assert list(recount.find_drifts()) == []
    settle_all()
    assert_matches()


def test_former_indexes_stay_until_the_migration_has_finished(alice: University) -> None:
    def indexes() -> set[str]:
        return set(get_db().donations.index_information()) & set(FORMER_INDEXES)

    assert len(indexes()) == 10
    list(run_migrations(OURS))
    assert len(indexes()) == 10
    list(upgrade_database())
    assert indexes() == set()


def test_a_second_migration_changes_nothing(alice: University) -> None:
    list(upgrade_database())
    before = content()
    get_db().migrations.delete_one({"_id": MATCHES_MIGRATION})
    list(upgrade_database())
    assert content() == before


def test_the_service_and_its_workers_run_during_the_migration(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every page, gifts arrive and change on both sides of the page's end."""
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 3)
    gifts, emails = stored["gifts"], stored["emails"]
    names = ("link", "plan_0", "euro", "many_2", "partly", "pinned", "cash", "many_8")
    number = 0

    def work() -> None:
        nonlocal number
        number += 1
        path = f"/v1/donations/{gifts[names[number % len(names)]]}"
        assert alice.call("PATCH", path, {"refunded_amount": number % 10}).status == 200
        pin = {"email_id": emails["bob"] if number % 3 else None}
        assert alice.call("PUT", f"{path}/match", pin).status == 200
        made = alice.gift(stored["spring"], 7, email_id=emails["eve"], external_id=f"{number}")
        if number % 2:
            settle_all()
        status = {"status": "failed" if number % 4 else "disputed"}
        assert alice.call("PATCH", f"/v1/donations/{made}", status).status == 200
        settle_all()

    work()
    for _ in run_migrations(OURS):
        work()
    assert number > 10
    assert_matches()
    pages = preview_policy(ObjectId(alice.id), MatchPolicy(), lambda held: held)
    assert not [change for _, changes in pages for change in changes]


def test_a_match_that_a_worker_removes_meanwhile_leaves_no_record(
    alice: University, stored: dict[str, Any]
) -> None:
    """A worker removes a match while a page writes its record."""
    create_missing_indexes()
    settle_all()
    get_db().matches.delete_many({})
    gift = {"_id": ObjectId(stored["gifts"]["link"])}
    failed = {"status": "failed"}
    assert alice.call("PATCH", f"/v1/donations/{gift['_id']}", failed).status == 200
    worker = threading.Thread(target=sweep_due_records)

    def write(tx: Tx) -> None:
        add_match_records(tx, list(tx.database.donations.find(gift, session=tx.session)))
        if worker.ident is None:
            worker.start()
            worker.join(0.5)

    in_transaction(write)
    worker.join()
    settle_all()
    assert "match" not in get_db().donations.find_one(gift)
    assert get_db().matches.find_one(gift) is None


def test_an_erasure_finds_a_deleted_gift_by_its_user(
    alice: University, stored: dict[str, Any]
) -> None:
    """Zoe gave by an email to Carol, so the gift belongs to Carol."""
    list(upgrade_database())
    settle_all()
    assert alice.call("DELETE", f"/v1/users/{stored['users']['carol']}?erase=true").status == 204
    settle_all()
    gift = get_db().donations.find_one({"_id": ObjectId(stored["gifts"]["deleted_forwarded"])})
    assert gift["donor_name"] == "(erased)"
