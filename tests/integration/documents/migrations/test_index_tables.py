"""Users and emails from before they had index tables: lists, recounts and workers continue."""

import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.api_key import ApiKey
from documents.counters import LEDGER
from documents.index_tables.former_layout import FORMER_EMAIL_INDEXES, FORMER_USER_INDEXES
from documents.mailing import Mailing
from documents.migrations import migration as module
from documents.migrations.index_tables import fill_index_table
from documents.migrations.indexes import update_indexes
from documents.migrations.migration import MigrationStatus, list_pending, run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.migrations.upgrade import upgrade_database
from documents.recount import recount
from documents.reports.recipients import list_recipients
from documents.storage.transaction import in_transaction
from jobs.sweep import sweep_due_records
from matchback.engine import Tx
from tests.integration.documents.migrations.layout import content, load
from tools.testbed.cast import Api, University
from tools.testbed.settled import settle_all

# That version's own code created this data: users and emails with gifts, refunds, bounces and
# unsubscribes, deleted ones, and due records. It also recorded its lists, page by page.
OURS = tuple(one for one in MIGRATIONS if one.number in (22, 23))
TABLES = {table.source: table for table in LEDGER.index_tables}


@pytest.fixture
def stored(real_database: str) -> dict[str, Any]:
    return load("fourth_layout_people.json")


@pytest.fixture
def alice(stored: dict[str, Any], real_client: testing.TestClient) -> University:
    _, key = ApiKey.issue(ObjectId(stored["organization"]), "new", ["admin"])
    return University(stored["organization"], key, Api.in_process(real_client))


def read_on(alice: University, path: str, cursor: str | None = None) -> list[str]:
    """Return the IDs of all records of a list from this cursor on."""
    ids: list[str] = []
    while True:
        page = alice.get(path + (f"&cursor={cursor}" if cursor else ""))
        ids += [row["id"] for row in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            return ids


def without_deleted(stored: dict[str, Any], ids: list[str]) -> list[str]:
    """Leave out the email that a client deleted after the lists were recorded."""
    return [id_ for id_ in ids if id_ != stored["emails"]["one4"]]


def lists_are_as_before(alice: University, stored: dict[str, Any]) -> bool:
    due = stored["emails"]["due"]
    for path, pages in stored["lists"].items():
        before = without_deleted(stored, [id_ for page in pages for id_ in page["ids"]])
        assert [id_ for id_ in read_on(alice, path) if id_ != due] == before, path
    for key, emails in stored["recipients"].items():
        mailing_id, did = key.split()
        mailing = Mailing.fetch(ObjectId(alice.id), mailing_id)
        page = list_recipients(mailing, did=did)
        assert [str(row.email_id) for row in page.rows] == without_deleted(stored, emails), key
    return True


def index_names(collection: str) -> set[str]:
    return set(get_db()[collection].index_information())


def run_a_page() -> None:
    running: Iterator[MigrationStatus] = run_migrations(OURS)
    next(running)
    assert isinstance(running, Generator)
    running.close()  # for the database, a kill after this page looks the same


def test_lists_are_the_same_before_and_after_the_migration(
    alice: University, stored: dict[str, Any]
) -> None:
    assert lists_are_as_before(alice, stored)
    update_indexes()  # keeps the former indexes, because readers still use them
    assert lists_are_as_before(alice, stored)
    assert list(recount.find_drifts()) == []
    list(upgrade_database())
    assert list_pending(MIGRATIONS) == []
    assert not index_names("users") & set(FORMER_USER_INDEXES)
    assert not index_names("emails") & set(FORMER_EMAIL_INDEXES)
    assert lists_are_as_before(alice, stored)
    assert list(recount.find_drifts()) == []
    settle_all()


def test_a_new_database_drops_the_former_indexes_at_once(real_database: str) -> None:
    load("fourth_layout_people.json")
    for collection in get_db().list_collection_names():
        get_db()[collection].delete_many({})
    update_indexes()
    assert not index_names("users") & set(FORMER_USER_INDEXES)
    assert not index_names("emails") & {*FORMER_EMAIL_INDEXES, "due"}
    assert "due" not in index_names("donations")


def test_cursors_from_before_the_migration_continue(
    alice: University, stored: dict[str, Any]
) -> None:
    list(upgrade_database())
    due, checked = stored["emails"]["due"], 0
    for path, pages in stored["lists"].items():
        for number, page in enumerate(pages[:-1], 1):
            rest = without_deleted(stored, [id_ for page in pages[number:] for id_ in page["ids"]])
            found = read_on(alice, path, page["next_cursor"])
            assert [id_ for id_ in found if id_ != due] == rest, path
            checked += 1
    assert checked > 50


def test_a_migration_that_stops_at_any_page_resumes(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 3)
    update_indexes()
    pages = 0
    while list_pending(OURS):
        run_a_page()
        pages += 1
        assert list(recount.find_drifts()) == []
        assert lists_are_as_before(alice, stored)
    assert pages > 10
    list(upgrade_database())
    assert lists_are_as_before(alice, stored)
    settle_all()


def test_a_second_migration_changes_nothing(alice: University) -> None:
    list(upgrade_database())
    before = content()
    get_db().migrations.delete_many({})
    list(upgrade_database())
    assert content() == before


def test_facts_arrive_at_every_page(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """People give, gifts are refunded, and records appear and disappear, at every page."""
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 4)
    update_indexes()
    fundraiser = alice.get(f"/v1/emails/{stored['emails']['one0']}")["fundraiser_id"]
    number = 0

    def work() -> None:
        nonlocal number
        number += 1
        email = stored["emails"][f"one{number % 4}"]
        gift = alice.gift(fundraiser, 7, email_id=email, external_id=f"new-{number}")
        settle_all()
        if number % 2:
            assert alice.call("DELETE", f"/v1/donations/{gift}").status == 204
        person = {"name": "New", "email": f"new{number}@example.edu"}
        new = alice.email(fundraiser, person, mailing_id=stored["mailings"][0])
        settle_all()
        if number % 3 == 0:
            assert alice.call("DELETE", f"/v1/emails/{new}").status == 204
            settle_all()

    work()
    for _ in run_migrations(OURS):
        work()
    list(upgrade_database())
    assert number > 8
    settle_all()
    for noun in ("users", "emails"):
        shown = {row["id"]: row for row in every(alice, noun)}
        for order in ("donations_count", "-donations_count"):
            ids = read_on(alice, f"/v1/{noun}?limit=5&sort={order}")
            counts = [shown[id_]["donations_count"] for id_ in ids]
            assert counts == sorted(counts, reverse=order.startswith("-"))
            assert sorted(ids) == sorted(shown)


def every(alice: University, noun: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = alice.get(f"/v1/{noun}?limit=200")["data"]
    return found


def refund(alice: University, stored: dict[str, Any]) -> None:
    gift = get_db().donations.find_one({"external_id": "c"})
    changed = {"refunded_amount": gift["amount"]}
    assert alice.call("PATCH", f"/v1/donations/{gift['_id']}", changed).status == 200


def give(alice: University, stored: dict[str, Any]) -> None:
    email = stored["emails"]["one1"]
    alice.gift(alice.get(f"/v1/emails/{email}")["fundraiser_id"], 7, email_id=email)


def delete_email(alice: University, stored: dict[str, Any]) -> None:
    assert alice.call("DELETE", f"/v1/emails/{stored['emails']['one1']}").status == 204


def delete_user(alice: University, stored: dict[str, Any]) -> None:
    assert alice.call("DELETE", f"/v1/users/{stored['users'][5]}").status in (204, 409)
    emails = get_db().emails.find({"user_id": ObjectId(stored["users"][5])})
    for email in emails:
        alice.call("DELETE", f"/v1/emails/{email['_id']}")
    sweep_due_records()
    assert alice.call("DELETE", f"/v1/users/{stored['users'][5]}").status == 204


@pytest.mark.parametrize("collection", ["users", "emails"])
@pytest.mark.parametrize("change", [refund, give, delete_email, delete_user])
def test_a_worker_settles_while_a_page_is_copied(
    alice: University,
    stored: dict[str, Any],
    collection: str,
    change: Callable[[University, dict[str, Any]], None],
) -> None:
    """The worker commits between the page's read and its write, where no row exists yet."""
    sweep_due_records()
    get_db()[TABLES[collection].name].delete_many({})
    other = next(name for name in TABLES if name != collection)
    in_transaction(fill_index_table(other), list(get_db()[other].find()))
    attempts = 0

    def work() -> None:
        change(alice, stored)
        while sweep_due_records():
            pass

    def copy(tx: Tx) -> None:
        nonlocal attempts
        attempts += 1
        rows = list(tx.database[collection].find(session=tx.session))
        if attempts == 1:
            worker = threading.Thread(target=work)
            worker.start()
            worker.join()
        fill_index_table(collection)(tx, rows)

    in_transaction(copy)
    assert attempts > 1
    list(upgrade_database())
    settle_all()


def test_workers_settle_beside_the_whole_migration(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 2)
    update_indexes()
    fundraiser = alice.get(f"/v1/emails/{stored['emails']['one0']}")["fundraiser_id"]
    emails = [stored["emails"][f"one{number}"] for number in range(8)]
    is_over = threading.Event()

    def settle() -> None:
        while not is_over.is_set():
            sweep_due_records()

    workers = [threading.Thread(target=settle) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(5):
            get_db().migrations.delete_many({"_id": {"$in": [22, 23]}})
            for name in ("user_index", "email_index"):
                get_db()[name].delete_many({})
            for number, _ in enumerate(run_migrations(OURS)):
                gift = alice.gift(fundraiser, 7, email_id=emails[number % 8])
                if number % 2:
                    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 7})
    finally:
        is_over.set()
        for worker in workers:
            worker.join()
    list(upgrade_database())
    settle_all()
