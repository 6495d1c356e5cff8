"""Migration of a database that the first version filled, while it is in use."""

import json
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db

from config import database
from documents.concurrency import lease
from documents.concurrency.lease import HeldLease, hold_lease
from documents.errors import Conflict
from documents.migrations import migration as module
from documents.migrations.indexes import update_indexes
from documents.migrations.migration import MigrationStatus, list_pending, run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.migrations.upgrade import upgrade_database
from documents.recount import recount
from documents.values.time import now
from jobs.sweep import sweep_due_records
from tests.integration.documents.migrations.layout import content, load
from tools.testbed.cast import University, export_public_key, make_event
from tools.testbed.command_line import run_matchback
from tools.testbed.settled import settle_all
from tools.testbed.stack import wait_until

# The first version's own code created this data: two fundraisers, six people, events of every kind,
# and gifts of every match. It has a refund, a deletion, and a gift, an email and a post that are
# still due.
SPRING_RAISED = 2500 + (1000 - 400) + 700 + 300


@pytest.fixture
def stored(real_database: str) -> dict[str, Any]:
    """Load the first version's database with its indexes. Return its recorded responses."""
    return load("first_layout.json")


CURRENT_MATCHES = {"direct": "link", "indirect": "address", "unresolved": "none"}


def same(before: Any, after: Any) -> None:
    """Check that the new version returns everything that the first version returned."""
    for name, value in before.items():
        if name in ("as_of", "unsettled"):
            continue
        if isinstance(value, dict):
            same(value, after[CURRENT_MATCHES.get(name, name)])
        elif name == "mailings":
            for one, other in zip(value, after[name], strict=True):
                same(one, other)
        else:
            assert after[name] == value, name


def test_responses_stay_the_same_and_every_counter_is_correct(
    alice: University, stored: dict[str, Any]
) -> None:
    list(upgrade_database())
    assert list_pending(MIGRATIONS) == []
    assert list(recount.find_drifts()) == []
    for fundraiser_id, before in stored["reports"].items():
        same(before, alice.report(fundraiser_id))
    settle_all()
    spring = alice.report(stored["fundraiser"])
    assert spring["donations"]["raised"] == {"USD": SPRING_RAISED + 4200}


def test_facts_unknown_to_the_first_version_are_added(
    alice: University, stored: dict[str, Any]
) -> None:
    list(upgrade_database())
    settle_all()
    report = alice.report(stored["fundraiser"])
    days = {str(day["day"]): day["count"] for day in report["by_day"]}
    assert days == {"2025-11-14": 1, "2025-11-15": 2, "2025-11-16": 1, "2025-11-17": 1}
    links = alice.get(f"/v1/mailings/{stored['mailing']}/links")["data"]
    assert [(link["url"], link["clicks"]) for link in links] == [("https://give.example.edu/", 2)]
    # By the message alone, which only events of the first version reported.
    first = get_db().emails.find_one(sort=[("_id", 1)])
    told = make_event(str(first["_id"]), "open", 1_763_100_000, email="person0@example.edu")
    key = alice.signing_key
    alice.call("PUT", "/v1/webhook-keys/sendgrid", {"public_key": export_public_key(key)})
    alice.deliver([told | {"email_id": ""}])
    settle_all()
    assert get_db().emails.find_one(first["_id"])["opens"] == first["opens"] + 1


def test_a_donor_with_a_variant_of_an_address_is_recognized(alice: University) -> None:
    """The first version compared whole addresses."""
    address = "person2+home@example.edu"
    donor = {"donor_email": address, "donor_address": address}
    get_db().donations.update_one({"external_id": "c"}, {"$set": donor})
    list(upgrade_database())
    settle_all()
    gift = get_db().donations.find_one({"external_id": "c"})
    assert (gift["match"], gift["donor_mailbox"]) == ("address", "person2@example.edu")


def test_clicks_of_deleted_emails_count_on_no_link(
    alice: University, stored: dict[str, Any]
) -> None:
    for email in list(alice.get("/v1/emails")["data"]):
        get_db().emails.update_one(
            {"_id": ObjectId(email["id"])},
            {"$set": {"deleted_at": now(), "counted": []}, "$unset": {"due": ""}},
        )
    list(upgrade_database())
    assert alice.get(f"/v1/mailings/{stored['mailing']}/links")["data"] == []


def test_a_person_may_be_erased_before_it_is_migrated(alice: University) -> None:
    update_indexes()
    guest = get_db().donations.find_one({"external_id": "c"})
    user = alice.make("users", name="Stranger", email=guest["donor_email"])["id"]
    person = get_db().users.find_one({"address": "person0@example.edu"})["_id"]
    for id_ in (user, person):
        assert alice.call("DELETE", f"/v1/users/{id_}?erase=true").status in (202, 204)
    while sweep_due_records():
        pass
    kept = str(list(get_db().donations.find()) + list(get_db().events.find()))
    assert "stranger@" not in kept.casefold()
    assert "person0@" not in kept.casefold()


def test_a_repeated_post_counts_once(alice: University) -> None:
    list(upgrade_database())
    settle_all()
    before = get_db().events.count_documents({})
    body = get_db().deliveries.find_one(sort=[("_id", 1)])["body"]
    key = alice.signing_key
    alice.call("PUT", "/v1/webhook-keys/sendgrid", {"public_key": export_public_key(key)})
    assert alice.deliver(None, body=bytes(body)).status == 202
    settle_all()
    assert get_db().events.count_documents({}) == before


def test_a_migrated_database_has_the_indexes_of_a_new_one(alice: University) -> None:
    list(upgrade_database())
    found = {name: set(get_db()[name].index_information()) for name in names()}
    for name in names():
        get_db()[name].drop()
    update_indexes()
    assert found == {name: set(get_db()[name].index_information()) for name in names()}


def names() -> list[str]:
    return ["donations", "emails", "events", "users", "fundraisers", "mailings", "deliveries"]


def test_the_service_works_before_the_migration(alice: University, stored: dict[str, Any]) -> None:
    """Web processes and workers run on the old layout without errors and with correct counters."""
    update_indexes()
    for noun in ("users", "fundraisers", "mailings", "emails", "donations"):
        assert alice.get(f"/v1/{noun}")["data"]
    while sweep_due_records():
        pass
    gift = get_db().donations.find_one({"external_id": "a"})["_id"]
    assert alice.get(f"/v1/donations/{gift}/match")["match"] == "link"
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 500})
    while sweep_due_records():
        pass
    list(upgrade_database())
    settle_all()
    raised = alice.report(stored["fundraiser"])["donations"]["raised"]
    assert raised == {"USD": SPRING_RAISED + 4200 - 500}


def test_a_killed_migration_resumes(
    alice: University, monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any]
) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 2)
    update_indexes()
    pages = 0
    while list_pending(MIGRATIONS):
        running: Iterator[MigrationStatus] = run_migrations(MIGRATIONS)
        next(running)
        assert isinstance(running, Generator)
        running.close()  # for the database, a kill after this page looks the same
        pages += 1
    assert pages > len(MIGRATIONS)
    assert get_db().migrations.find_one(3)["rows"] == get_db().events.count_documents({})
    assert list(recount.find_drifts()) == []
    same(stored["reports"], {id_: alice.report(id_) for id_ in stored["reports"]})


def test_a_second_migration_changes_nothing(alice: University) -> None:
    list(upgrade_database())
    before = content()
    get_db().migrations.delete_many({})
    list(upgrade_database())
    assert content() == before
    assert list(run_migrations(MIGRATIONS)) == []


def test_a_migration_waits_for_another_and_then_has_nothing_to_do(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 2)
    update_indexes()
    first = run_migrations(MIGRATIONS)
    next(first)
    said: list[str] = []
    with ThreadPoolExecutor() as threads:
        second = threads.submit(lambda: list(run_migrations(MIGRATIONS, said.append)))
        wait_until(lambda: said, "the second process to report that it waits")
        assert not second.done()
        assert list(first)
        assert second.result(timeout=60) == []
    assert said == ["Another process is migrating this database. Waiting for it."]
    assert list_pending(MIGRATIONS) == []


def test_a_migration_takes_over_from_a_killed_one(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.0)
    assert HeldLease("migrate", "killed").take()
    begun_at = time.monotonic()
    list(run_migrations(MIGRATIONS))
    assert time.monotonic() - begun_at > 0.5
    assert list_pending(MIGRATIONS) == []


def test_a_migration_without_progress_is_not_awaited_forever(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIGRATION_PATIENCE_SECONDS", 1.0)
    with hold_lease("migrate"), pytest.raises(Conflict, match="makes no progress"):
        list(run_migrations(MIGRATIONS))


def test_two_lease_holders_migrate_each_page_once(
    alice: University, monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any]
) -> None:
    """This can happen after a pause.

    The lease avoids duplicate work; correctness does not depend on it.
    """
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 2)
    monkeypatch.setattr(lease, "_take", lambda *args: True)
    update_indexes()
    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(lambda: list(run_migrations(MIGRATIONS))) for _ in range(4)]:
            done.result(timeout=60)
    for number, name in ((1, "users"), (3, "events"), (6, "donations")):
        rows = get_db().migrations.find_one(number)["rows"]
        assert rows == get_db()[name].count_documents({})
    assert list(recount.find_drifts()) == []
    same(stored["reports"], {id_: alice.report(id_) for id_ in stored["reports"]})


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the connection to the test's database, because commands connect by themselves."""
    monkeypatch.setattr("config.database.connect_database", database.get_client)


@pytest.mark.usefixtures("real_database", "connected")
def test_a_new_database_has_nothing_to_migrate() -> None:
    assert run_matchback("indexes").exit_code == 0
    assert list_pending(MIGRATIONS) == []


@pytest.mark.usefixtures("alice", "connected")
def test_a_filled_database_has_migrations_to_run() -> None:
    assert run_matchback("indexes").exit_code == 0
    told = json.loads(run_matchback("migrate", "--pending", "--json").stdout)
    assert [one["number"] for one in told] == [one.number for one in MIGRATIONS]
    assert "messages, links and clickers" in run_matchback("migrate").stdout
    assert list_pending(MIGRATIONS) == []


def test_migration_numbers_are_in_order_and_unique() -> None:
    numbers = [one.number for one in MIGRATIONS]
    assert numbers == sorted(set(numbers))
