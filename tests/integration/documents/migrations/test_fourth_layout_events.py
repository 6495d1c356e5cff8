"""Event rows from before they had a digest of the provider's ID."""

from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db
from pymongo.errors import DuplicateKeyError

from documents.access.api_key import ApiKey
from documents.event import FINDING_FIELDS, make_report_key
from documents.migrations import migration as module
from documents.migrations.indexes import update_indexes
from documents.migrations.migration import MigrationStatus, list_pending, run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.migrations.upgrade import upgrade_database
from documents.privacy import erasure
from documents.recount import recount
from documents.tracking.former_rows import (
    EVENT_ROWS_MIGRATION,
    FORMER_ID_INDEX,
    forget_former_index,
)
from documents.values.time import now
from tests.integration.documents.migrations.layout import content, load
from tools.testbed.cast import Api, University, make_event
from tools.testbed.settled import settle_all

# That version's own code created this data. It has events of every type, tied by ID, message and
# address, with and without the provider's ID. Some are unmatched, erased or archived. A post is
# still due.
OURS = tuple(one for one in MIGRATIONS if one.number == EVENT_ROWS_MIGRATION)
AT = 1_763_000_000
DUE_COUNTS = {("anna", "opens"): 1, ("cleo", "clicks"): 1}


@pytest.fixture
def stored(real_database: str) -> dict[str, Any]:
    told = load("fourth_layout_events.json")
    forget_former_index()
    update_indexes()
    return told


@pytest.fixture
def alice(stored: dict[str, Any], real_client: testing.TestClient) -> University:
    _, key = ApiKey.issue(ObjectId(stored["organization"]), "new", ["admin"])
    alice = University(stored["organization"], key, Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def read_counts(stored: dict[str, Any]) -> dict[str, Any]:
    emails = {
        name: get_db().emails.find_one(ObjectId(id_)) for name, id_ in stored["emails"].items()
    }
    fields = next(iter(stored["counts"].values()))
    return {name: {key: _naive(row.get(key)) for key in fields} for name, row in emails.items()}


def _naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def expected_counts(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the counts that the earlier version had, with the post that is due."""
    counts = {name: dict(of) for name, of in stored["counts"].items()}
    for (name, field), number in DUE_COUNTS.items():
        counts[name][field] += number
    return counts


def without_times(counts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: value for key, value in of.items() if not key.endswith("_at")}
        for name, of in counts.items()
    }


def count_once(stored: dict[str, Any]) -> None:
    settle_all()
    assert without_times(read_counts(stored)) == without_times(expected_counts(stored))


def deliver_again(alice: University, posts: list[Any], mark: str | None) -> None:
    """Deliver posts again, under the same IDs, under new ones, or without an ID."""
    for number, post in enumerate(posts):
        again = [
            one if mark == "same" else {**one, "sg_event_id": mark and f"{mark}-{number}-{place}"}
            for place, one in enumerate(post)
        ]
        assert alice.deliver(again).status == 202


def with_other_facts(posts: list[Any]) -> list[Any]:
    """Return events that only the provider's ID identifies, as it repeats them with new facts."""
    return [
        [{**one, "timestamp": one["timestamp"] + 7} for one in post if one["sg_event_id"]]
        for post in posts
    ]


def run_a_page() -> None:
    running: Iterator[MigrationStatus] = run_migrations(OURS)
    next(running)
    assert isinstance(running, Generator)
    running.close()  # for the database, a kill after this page looks the same


def has_former_index() -> bool:
    return FORMER_ID_INDEX in get_db().events.index_information()


def list_reported_keys(stored: dict[str, Any]) -> set[ObjectId]:
    organization_id = ObjectId(stored["organization"])
    told = [one["sg_event_id"] for post in [*stored["posts"], stored["due"]] for one in post]
    again = [f"again-{number}" for number in range(len(stored["posts"][1]))]
    return {make_report_key(organization_id, id_) for id_ in (*told, *again) if id_}


def test_every_event_gets_the_current_form(alice: University, stored: dict[str, Any]) -> None:
    before = get_db().events.count_documents({})
    list(upgrade_database())
    assert list_pending(MIGRATIONS) == []
    assert list(recount.find_drifts()) == []
    rows = list(get_db().events.find())
    assert len(rows) == before
    assert not [row for row in rows if "sg_event_id" in row]
    assert not [row for row in rows if "email_id" in row and row.keys() & set(FINDING_FIELDS)]
    assert not [row for row in rows if "user_agent" in row and row["type"] != "click"]
    assert {row.get("tied_by") for row in rows} == {None, "message", "address"}
    keys = {row["report_key"] for row in rows if "report_key" in row}
    assert keys <= list_reported_keys(stored)
    unmatched = [row for row in rows if "unmatched" in row]
    assert all(row["address"] and row["due"] for row in unmatched)
    assert not has_former_index()
    count_once(stored)
    assert read_counts(stored)["ben"] == stored["counts"]["ben"]


@pytest.mark.parametrize("is_upgraded", [False, True])
@pytest.mark.parametrize("mark", ["same", "new", None])
def test_a_redelivery_counts_nothing(
    alice: University, stored: dict[str, Any], is_upgraded: bool, mark: str | None
) -> None:
    if is_upgraded:
        list(upgrade_database())
        forget_former_index()
    deliver_again(alice, stored["posts"], mark)
    count_once(stored)
    deliver_again(alice, with_other_facts(stored["posts"][:1] + stored["posts"][2:]), "same")
    count_once(stored)


def test_a_migration_that_stops_at_any_page_counts_each_event_once(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each page the provider repeats old events, and reports new ones twice."""
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 3)
    new = 0
    posts = stored["posts"]
    repeated = [posts[:1], posts[1:2], posts[2:], with_other_facts(posts[2:])]
    while list_pending(OURS):
        run_a_page()
        assert list(recount.find_drifts()) == []
        deliver_again(alice, repeated[new % 4], "same" if new % 4 == 3 else ("same", None)[new % 2])
        told = make_event(stored["emails"]["ben"], "open", AT + 10_000 + new)
        alice.deliver([told])
        alice.deliver([{**told, "timestamp": told["timestamp"] + 500_000}, told])
        new += 1
        settle_all()
        expected = without_times(expected_counts(stored))
        expected["ben"]["opens"] += new
        assert without_times(read_counts(stored)) == expected
    assert new > 10
    list(upgrade_database())
    assert not has_former_index()
    forget_former_index()
    deliver_again(alice, posts, "same")
    settle_all()
    assert without_times(read_counts(stored)) == expected


def test_a_second_migration_changes_nothing(alice: University) -> None:
    list(upgrade_database())
    before = content()
    get_db().migrations.delete_many({})
    list(upgrade_database())
    assert content() == before


@pytest.mark.parametrize("pages", [0, 5, 11])
def test_what_is_erased_during_the_migration_stays_erased(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 3)
    for _ in range(pages):
        run_a_page()
    count_once(stored)
    anna = get_db().users.find_one({"address": "anna@example.edu"})
    erasure.request_erasure(ObjectId(alice.id), anna["_id"])
    settle_all()
    list(upgrade_database())
    forget_former_index()
    deliver_again(alice, stored["posts"], "same")
    deliver_again(alice, stored["posts"], None)
    count_once(stored)
    assert get_db().events.count_documents({"email_id": ObjectId(stored["emails"]["anna"])}) == 0
    assert "anna@example.edu" not in str(list(get_db().events.find()))


@pytest.mark.parametrize("pages", [0, 5, 11, 100])
def test_an_unmatched_event_finds_its_email_before_and_after_its_page(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 3)
    for _ in range(pages):
        if list_pending(OURS):
            run_a_page()
    person = {"name": "Late", "email": "late@example.edu"}
    late = alice.email(stored["spring"], person, mailing_id=stored["mailing"])
    settle_all()
    list(upgrade_database())
    forget_former_index()
    deliver_again(alice, stored["posts"], "same")
    deliver_again(alice, stored["posts"], None)
    count_once(stored)
    found = alice.get(f"/v1/emails/{late}")
    assert (found["opens"], found["clicks"]) == (1, 1)
    rows = list(get_db().events.find({"email_id": ObjectId(late)}))
    assert {row["tied_by"] for row in rows} == {"address"}
    assert not [row for row in rows if row.keys() & {*FINDING_FIELDS, "unmatched", "due"}]


def test_a_worker_of_the_earlier_version_counts_no_event_again(
    alice: University, stored: dict[str, Any]
) -> None:
    """Both versions run side by side until the migration starts."""
    told = make_event(stored["emails"]["ben"], "delivered", AT + 20_000)
    alice.deliver([told])
    settle_all()
    query = {"sg_event_id": told["sg_event_id"]}
    row = get_db().events.find_one(query)
    assert row["tied_by"] == "email_id"  # an earlier warehouse worker exports it
    former = {name: value for name, value in row.items() if name != "report_key"}
    with pytest.raises(DuplicateKeyError):
        get_db().events.insert_one({**former, "_id": b"0" * 16})


def test_the_migration_ends_if_an_earlier_worker_stored_an_event_again(
    alice: University, stored: dict[str, Any]
) -> None:
    told = make_event(stored["emails"]["ben"], "delivered", AT + 20_000)
    alice.deliver([told])
    settle_all()
    get_db().events.drop_index(FORMER_ID_INDEX)
    row = get_db().events.find_one({"sg_event_id": told["sg_event_id"]})
    former = {name: value for name, value in row.items() if name != "report_key"}
    get_db().events.insert_one({**former, "_id": b"0" * 16, "due": now()})
    list(upgrade_database())
    assert list_pending(MIGRATIONS) == []
    assert get_db().events.count_documents({"report_key": row["report_key"]}) == 1
