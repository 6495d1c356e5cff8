"""Match classes from before they had the API's names: gifts, counters and past matches follow."""

import threading
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db

from documents.matching.policy import MatchPolicy
from documents.matching.preview import preview_policy
from documents.migrations import migration as module
from documents.migrations.indexes import update_indexes
from documents.migrations.matches import rename_matches
from documents.migrations.migration import MigrationStatus, list_pending, run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.migrations.upgrade import upgrade_database
from documents.recount import recount
from documents.storage.former_match import FORMER_MATCHES
from documents.storage.transaction import in_transaction
from jobs.sweep import sweep_due_records
from matchback.engine import Tx
from tests.integration.documents.migrations.layout import content, load
from tools.testbed.cast import University
from tools.testbed.settled import settle_all

# That version's own code created this data: gifts of every rule, pins that changed, plans, refunds
# and gifts that are still due. Two instalments follow a pinned gift, and one of them is due.
OURS = tuple(one for one in MIGRATIONS if one.number in (18, 19))
CLASSES = ("link", "address", "pinned", "none")
FOLLOW_PINNED = ("pinned_plan_1", "pinned_plan_2")
COUNTED_FAILURE = {"tries": 5, "error": "It failed."}


@pytest.fixture
def stored(real_database: str) -> dict[str, Any]:
    return load("third_layout.json")


def expected_match(name: str, before: dict[str, Any]) -> str | None:
    if before["match"] == "direct":
        return "pinned" if before["rule"] == "pin" or name in FOLLOW_PINNED else "link"
    return {"indirect": "address", "unresolved": "none", None: None}[before["match"]]


def expected_matches(stored: dict[str, Any]) -> dict[str, str | None]:
    return {name: expected_match(name, one) for name, one in stored["matches"].items()}


def read_matches() -> dict[str, str | None]:
    found = get_db().donations.find({"deleted_at": None})
    return {gift["external_id"]: gift.get("match") for gift in found}


def sum_by_match(fundraiser_id: str) -> dict[str, Any]:
    """Add up a fundraiser's gifts from the gifts themselves."""
    sums: dict[str, Any] = {name: {"count": 0, "raised": {}} for name in CLASSES}
    query = {"fundraiser_id": ObjectId(fundraiser_id), "status": "succeeded", "deleted_at": None}
    for gift in get_db().donations.find(query):
        of, code = sums[gift["match"]], gift["currency"]
        net = gift["amount"] - gift.get("refunded_amount", 0)
        of["count"] += 1
        of["raised"][code] = of["raised"].get(code, 0) + net
    return sums


def add_up(by_match: dict[str, Any]) -> dict[str, Any]:
    """Return the total of all classes."""
    raised: dict[str, int] = {}
    for of in by_match.values():
        for code, amount in of["raised"].items():
            raised[code] = raised.get(code, 0) + amount
    return {"count": sum(of["count"] for of in by_match.values()), "raised": raised}


def nothing_would_change(alice: University) -> bool:
    """Check that deciding every gift again gives the stored matches."""
    pages = preview_policy(ObjectId(alice.id), MatchPolicy(), lambda held: held)
    return not [change for _, changes in pages for change in changes]


def run_a_page() -> None:
    running: Iterator[MigrationStatus] = run_migrations(OURS)
    next(running)
    assert isinstance(running, Generator)
    running.close()  # for the database, a kill after this page looks the same


def test_every_class_gets_its_current_name(alice: University, stored: dict[str, Any]) -> None:
    assert list(recount.find_drifts()) == []
    list(upgrade_database())
    assert list_pending(MIGRATIONS) == []
    assert list(recount.find_drifts()) == []
    assert read_matches() == expected_matches(stored)
    former = {"match": {"$in": FORMER_MATCHES}}
    for name in ("donations", "past_matches"):
        assert get_db()[name].count_documents(former) == 0
    settle_all()


def test_counters_move_to_the_current_classes(alice: University, stored: dict[str, Any]) -> None:
    list(upgrade_database())
    settle_all()
    for id_ in (stored["spring"], stored["autumn"]):
        assert alice.report(id_)["donations"]["by_match"] == sum_by_match(id_)
    assert sum_by_match(stored["spring"])["pinned"]["raised"].keys() == {"USD", "EUR"}
    for name in ("fundraisers", "mailings"):
        for row in get_db()[name].find():
            left = [row["by_match"].get(former, {}).get("count", 0) for former in FORMER_MATCHES]
            assert not any(left)
    before = stored["reports"][stored["spring"]]["donations"]
    report = alice.report(stored["spring"])["donations"]
    gift_since = 1  # one gift was new and due, and one that was counted was deleted
    assert report["count"] == before["count"] + gift_since - 1


def test_past_matches_follow(alice: University, stored: dict[str, Any]) -> None:
    def history(name: str) -> list[tuple[str, str]]:
        found = alice.get(f"/v1/donations/{stored['gifts'][name]}/match")["history"]
        return [(past["match"], past["rule"]) for past in found]

    list(upgrade_database())
    assert history("unpinned") == [("pinned", "pin"), ("address", "donor_address")]
    # Its first gift was matched by link, pinned twice, and is matched by link again.
    first = [("pinned", "pin"), ("pinned", "pin"), ("link", "email_id")]
    assert history("repinned_plan_0") == first
    assert history("repinned_plan_2")[0] == ("pinned", "recurring")
    assert history("pinned_plan_2") == [("none", "recurring")]
    before = get_db().past_matches.count_documents({})
    settle_all()
    changed_since = ("due_pin", "due_unpin", "pinned_plan_1")
    assert get_db().past_matches.count_documents({}) == before + len(changed_since)


def test_readers_use_the_current_names_before_the_migration(
    alice: University, stored: dict[str, Any]
) -> None:
    for name, match in expected_matches(stored).items():
        expected = "link" if name in FOLLOW_PINNED else match
        gift = stored["gifts"][name]
        assert alice.get(f"/v1/donations/{gift}")["match"] == expected
        assert alice.get(f"/v1/donations/{gift}/match")["match"] == expected
    found = [alice.get(f"/v1/donations?limit=200&match={match}")["data"] for match in CLASSES]
    for match, gifts in zip(CLASSES, found, strict=True):
        assert {gift["match"] for gift in gifts} == {match}
    assert sum(map(len, found)) == sum(1 for match in read_matches().values() if match)
    for id_ in (stored["spring"], stored["autumn"]):
        by_match = alice.report(id_)["donations"]["by_match"]
        before = stored["reports"][id_]["donations"]["by_match"]
        assert by_match["link"] == before["direct"]
        assert by_match["address"] == before["indirect"]
        assert by_match["none"] == before["unresolved"]
        response = stored["reports"][id_]["giving_rates"]["response"]
        assert alice.report(id_)["giving_rates"]["response"] == response


def test_a_migration_that_stops_at_any_page_resumes(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 3)
    update_indexes()
    failing = {"external_id": "failing"}
    get_db().donations.update_one(failing, {"$set": {"trouble": COUNTED_FAILURE}})
    totals = {
        id_: {name: stored["reports"][id_]["donations"][name] for name in ("count", "raised")}
        for id_ in (stored["spring"], stored["autumn"])
    }
    pages = 0
    while list_pending(OURS):
        run_a_page()
        pages += 1
        assert list(recount.find_drifts()) == []
        for id_, total in totals.items():
            assert add_up(alice.report(id_)["donations"]["by_match"]) == total
    assert pages > 20
    assert read_matches() == expected_matches(stored)
    again = {"$set": {"due": get_db().donations.find_one(failing)["created_at"]}}
    get_db().donations.update_one(failing, again | {"$unset": {"trouble": ""}})
    settle_all()
    assert alice.report(stored["spring"])["donations"]["by_match"] == sum_by_match(stored["spring"])


def test_a_second_migration_changes_nothing(alice: University) -> None:
    list(upgrade_database())
    before = content()
    get_db().migrations.delete_many({})
    list(upgrade_database())
    assert content() == before


def test_the_service_and_its_workers_run_during_the_migration(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staff pin and refund gifts at every page, before and after the gift's own page."""
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 7)
    update_indexes()
    gifts, one = stored["gifts"], stored["emails"]["one"]
    names = ("token", "address", "nothing", "link_plan_0", "pinned_plan_0", "many_3", "carol")
    number = 0

    def work() -> None:
        nonlocal number
        number += 1
        name = names[number % len(names)]
        path = f"/v1/donations/{gifts[name]}"
        assert alice.call("PATCH", path, {"refunded_amount": number}).status == 200
        pinned = {"email_id": one if number % 3 else None}
        assert alice.call("PUT", f"{path}/match", pinned).status == 200
        alice.gift(stored["spring"], 7, email_id=one, recurring_id="link", external_id=f"{number}")
        settle_all()

    work()
    for _ in run_migrations(OURS):
        work()
    assert number > 10
    for name in names:
        alice.call("DELETE", f"/v1/donations/{gifts[name]}/match")
    settle_all()
    assert nothing_would_change(alice)
    assert not set(read_matches().values()) & set(FORMER_MATCHES)
    assert alice.report(stored["spring"])["donations"]["by_match"] == sum_by_match(stored["spring"])


def test_workers_settle_stored_gifts_before_the_migration(
    alice: University, stored: dict[str, Any]
) -> None:
    past = get_db().past_matches.count_documents({})
    every = {"match": {"$exists": True}, "deleted_at": None}
    due = {"$set": {"due": get_db().donations.find_one()["created_at"], "rematch": True}}
    get_db().donations.update_many(every, due)
    settle_all()  # It ends: instalments do not mark each other forever.
    changed = ("due_pin", "due_unpin", "pinned_plan_1", "pinned_gone")
    assert get_db().past_matches.count_documents({}) <= past + len(changed)
    assert alice.report(stored["spring"])["donations"]["by_match"] == sum_by_match(stored["spring"])
    assert nothing_would_change(alice)


def test_an_instalment_follows_its_first_gift_during_a_concurrent_migration(
    alice: University, stored: dict[str, Any]
) -> None:
    """A worker decides the first gift while a page renames the class of the next one.

    The next one is disputed, so it moves no counter that both transactions write.
    """
    disputed = {"status": "disputed"}
    alice.call("PATCH", f"/v1/donations/{stored['gifts']['pinned_plan_2']}", disputed)
    settle_all()
    token = {"$set": {"email_ref": stored["emails"]["two"]}}
    get_db().donations.update_one({"external_id": "pinned_plan_0"}, token)
    follower = {"external_id": "pinned_plan_2"}
    get_db().donations.update_one(follower, {"$set": {"match": "direct"}})
    alice.call("DELETE", f"/v1/donations/{stored['gifts']['pinned_plan_0']}/match")
    worker = threading.Thread(target=sweep_due_records)

    def rename(tx: Tx) -> None:
        rename_matches(tx, list(tx.database.donations.find(follower, session=tx.session)))
        if worker.ident is None:
            worker.start()
            worker.join(0.5)

    in_transaction(rename)
    worker.join()
    settle_all()
    assert get_db().donations.find_one(follower)["match"] == "link"
    assert nothing_would_change(alice)
