"""Addresses from before all spellings shared one key: people, gifts and events follow."""

import json
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db

from config import database
from documents.access.staff import Staff
from documents.migrations import migration as module
from documents.migrations.indexes import update_indexes
from documents.migrations.migration import MigrationStatus, list_pending, run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.migrations.upgrade import upgrade_database
from documents.people.duplicate import list_duplicates
from documents.recount import recount
from documents.values.address import to_canonical, to_mailbox
from jobs.sweep import sweep_due_records
from tests.integration.documents.migrations.layout import content, load
from tools.testbed.cast import University, make_event
from tools.testbed.command_line import run_matchback
from tools.testbed.settled import settle_all

# That version's own code created this data: people, emails, events and gifts in many spellings.
# Some spellings belong to one person. A gift, an email and a post are still due.
ANNA = "anna@b\u00fccher.example"
OURS = tuple(one for one in MIGRATIONS if "spellings" in one.name)
SPRING_RAISED = sum(range(100, 120)) - 40 + 2500
NOT_COUNTED_BEFORE = 5000


@pytest.fixture
def stored(real_database: str) -> dict[str, Any]:
    return load("second_layout.json")


def gift(external_id: str) -> Any:
    return get_db().donations.find_one({"external_id": external_id})


def upgraded() -> None:
    list(upgrade_database())
    assert list_pending(MIGRATIONS) == []
    assert list(recount.find_drifts()) == []
    settle_all()


def test_counters_are_correct_before_the_migration(alice: University) -> None:
    assert list(recount.find_drifts()) == []


def test_every_key_is_the_canonical_one(alice: University) -> None:
    upgraded()
    noted = {pair.id for pair in list_duplicates()}
    for name in ("users", "staff"):
        for row in get_db()[name].find({"address": {"$exists": True}}):
            assert (row["address"] == to_canonical(row["email"])) == (row["_id"] not in noted)
    for row in get_db().users.find({"address": {"$exists": True}}):
        assert row["mailbox"] == to_mailbox(row["email"])
    for row in get_db().donations.find():
        assert row["donor_address"] == to_canonical(row["donor_email"])
        assert row["donor_mailbox"] == to_mailbox(row["donor_email"])
    for row in get_db().events.find({"unmatched": {"$exists": True}}):
        assert row["unmatched"] == to_canonical(row["address"])


def test_a_person_is_found_by_every_spelling(alice: University, stored: dict[str, Any]) -> None:
    upgraded()
    for name, spelling in (
        ("anna", "ANNA@xn--BCHER-KVA.example."),
        ("quin", "quin@example.org"),
        ("wide", "wide@example.org"),
        ("weiss", "Wei\u00df@example.org"),
        ("moved", "New@example.org"),
    ):
        user = alice.call("POST", "/v1/users", {"name": "Again", "email": spelling})
        assert user.status == 409
        fundraiser, mailing = stored["fundraiser"], stored["mailing"]
        person = {"name": "Again", "email": spelling}
        found = alice.call(
            "POST",
            "/v1/emails",
            {"fundraiser_id": fundraiser, "mailing_id": mailing, "user": person},
        )
        assert alice.get(f"/v1/emails/{found.json['id']}")["user_id"] == stored["users"][name]
    settle_all()


def test_people_with_similar_addresses_are_separated(alice: University) -> None:
    upgraded()
    assert (
        alice.call("POST", "/v1/users", {"name": "W", "email": "weiss@example.org"}).status == 201
    )
    assert gift("r")["fundraiser_donor_id"] != gift("s")["fundraiser_donor_id"]


def test_gifts_are_rematched_and_strangers_of_one_mailbox_are_one_donor(
    alice: University, stored: dict[str, Any]
) -> None:
    assert gift("j")["match"] == "unresolved"
    upgraded()
    for external_id, name in (("i", "anna"), ("j", "anna"), ("k", "quin"), ("l", "wide")):
        found = gift(external_id)
        assert (found["match"], str(found["user_id"])) == ("address", stored["users"][name])
    assert str(gift("h")["user_id"]) == stored["users"]["weiss"]  # by the mailbox, with a tag
    assert len({gift(name)["fundraiser_donor_id"] for name in ("p", "q", "q2")}) == 1
    assert get_db().donors.count_documents({"donations_count": {"$lt": 0}}) == 0
    report = alice.report(stored["fundraiser"])["donations"]
    before = stored["reports"][stored["fundraiser"]]["donations"]
    assert before["raised"] == {"USD": SPRING_RAISED}
    assert report["raised"] == {"USD": SPRING_RAISED + NOT_COUNTED_BEFORE}
    assert report["count"] == before["count"] + 1


def test_a_user_with_a_new_address_keeps_earlier_gifts(
    alice: University, stored: dict[str, Any]
) -> None:
    upgraded()
    for external_id, name in (("n", "moved"), ("o", "moved_weiss")):
        assert str(gift(external_id)["user_id"]) == stored["users"][name]


def test_events_find_their_emails_by_address_and_by_message(
    alice: University, stored: dict[str, Any]
) -> None:
    def opens(name: str) -> Any:
        return get_db().emails.find_one({"_id": ObjectId(stored["emails"][name])})["opens"]

    before = {name: opens(name) for name in ("anna", "quin")}
    upgraded()
    assert {name: opens(name) - n for name, n in before.items()} == {"anna": 1, "quin": 1}
    # Only an event in another spelling reported this message.
    message = f"message-{stored['emails']['wide']}"
    late = make_event("", "open", 1_763_100_000, email="wide@example.org", sg_message_id=message)
    count = opens("wide")
    alice.set_webhook_key()
    alice.deliver([late])
    settle_all()
    assert opens("wide") == count + 1


def test_a_repeated_post_adds_nothing(alice: University) -> None:
    """An event's identity uses the address as reported, which did not change."""
    upgraded()
    before, opens = get_db().events.count_documents({}), _opens()
    alice.set_webhook_key()
    for post in list(get_db().deliveries.find({"provider": "sendgrid"})):
        assert alice.deliver(None, body=bytes(post["body"])).status == 202
        other = json.loads(post["body"])
        for one in other:  # SendGrid may give a redelivered event another ID
            one["sg_event_id"] = f"{one['sg_event_id']}-again"
        assert alice.deliver(other).status == 202
    settle_all()
    assert (get_db().events.count_documents({}), _opens()) == (before, opens)


def _opens() -> list[Any]:
    fields = ("opens", "clicks", "delivered_at")
    return [[row.get(name) for name in fields] for row in get_db().emails.find().sort("_id", 1)]


def test_users_that_would_merge_stay_separate_and_are_reported(
    alice: University, stored: dict[str, Any]
) -> None:
    upgraded()
    users = {name: ObjectId(id_) for name, id_ in stored["users"].items()}
    found = {pair.id: pair.kept_id for pair in list_duplicates() if pair.collection == "users"}
    # The plain spelling keeps the key. Of two other spellings, the older user gets it.
    assert found == {users["ned_again"]: users["ned"], users["rob_again"]: users["rob"]}
    for external_id, name in (("a", "ned"), ("b", "ned_again"), ("c", "ned"), ("d", "rob"),
                              ("e", "rob_again"), ("f", "rob")):  # fmt: skip
        assert gift(external_id)["user_id"] == users[name], external_id
    listed = alice.get("/v1/users?email=rob@example.org")["data"]
    assert [user["id"] for user in listed] == [stored["users"]["rob"]]
    assert alice.get(f"/v1/users/{users['rob_again']}")["email"] == "rob@example.org."
    other = alice.call("PATCH", f"/v1/users/{users['rob_again']}", {"name": "Robert"})
    assert other.status == 200  # a name does not identify an address


def test_staff_decide_which_user_stays(alice: University, stored: dict[str, Any]) -> None:
    upgraded()
    rob, again = (stored["users"][name] for name in ("rob", "rob_again"))
    same = {"email": "rob@example.org"}
    assert alice.call("PATCH", f"/v1/users/{again}", same).status == 409
    assert alice.call("PATCH", f"/v1/users/{rob}", {"email": "rob2@example.org"}).status == 200
    assert alice.call("PATCH", f"/v1/users/{again}", same).status == 200
    settle_all()
    assert ObjectId(again) not in {pair.id for pair in list_duplicates()}
    found = alice.get("/v1/users?email=R\u200bob@example.org".replace("\u200b", "%E2%80%8B"))
    assert [user["id"] for user in found["data"]] == [again]


def test_staff_sign_in_by_every_spelling(alice: University) -> None:
    for upgrade_now in (False, True):
        if upgrade_now:
            upgraded()
        for spelling, email in (
            ("CAROL@b\u00fccher.example", "carol@b\u00fccher.example"),
            ("alice@uni.example", "alice@uni.example"),
            ("dave@uni.example;", "dave@uni.example;"),
        ):
            found = Staff.known(spelling)
            assert found is not None, (spelling, upgrade_now)
            assert found.email == email
    for spelling in ("carol@xn--bcher-kva.example", "Dave@uni.example"):
        assert Staff.known(spelling) is not None
    assert [pair.email for pair in list_duplicates() if pair.collection == "staff"] == [
        "alice@uni.example."
    ]


def test_a_killed_migration_resumes(alice: University, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 3)
    update_indexes()
    pages = 0
    while list_pending(OURS):
        running: Iterator[MigrationStatus] = run_migrations(OURS)
        next(running)
        assert isinstance(running, Generator)
        running.close()
        pages += 1
    assert pages > 20
    assert list(recount.find_drifts()) == []
    settle_all()
    assert len(list(list_duplicates())) == 3  # the choice between them does not depend on the pages


def test_a_second_migration_changes_nothing(alice: University) -> None:
    list(upgrade_database())
    before = content()
    get_db().migrations.delete_many({})
    list(upgrade_database())
    assert content() == before


def test_a_key_of_another_mailbox_is_freed_first(alice: University) -> None:
    """Before, "wei\u200bss" was a user of its own, while the key "weiss" belonged to "weiß"."""
    odd = get_db().users.find_one({"email": "wei\u00df@example.org"})
    spelled = "wei\u200bss@example.org"
    row = {**odd, "_id": ObjectId(b"\0" * 12), "email": spelled, "address": spelled}
    get_db().users.insert_one(row | {"mailbox": spelled, "counted": []})
    list(upgrade_database())
    found = {
        row["email"]: row["address"] for row in get_db().users.find({"address": {"$ne": None}})
    }
    assert found[spelled] == "weiss@example.org"
    assert found["wei\u00df@example.org"] == "wei\u00df@example.org"
    assert spelled not in {pair.email for pair in list_duplicates()}


def test_the_service_works_before_and_during_the_migration(
    alice: University, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests arrive at every page. No user is added twice, and every counter is correct."""
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 7)
    update_indexes()
    spring, number = stored["fundraiser"], 0

    def ask() -> None:
        nonlocal number
        number += 1
        for spelling, name in ((ANNA, "anna"), ("WEI\u1e9e@example.org", "weiss")):
            person = {"name": "Again", "email": spelling}
            email = alice.email(spring, person)
            assert alice.get(f"/v1/emails/{email}")["user_id"] == stored["users"][name]
            alice.gift(spring, 1, person, external_id=f"{name}-{number}")
        while sweep_due_records():
            pass

    ask()
    for _ in run_migrations(OURS):
        ask()
    settle_all()
    for name in ("anna", "weiss"):
        query = {"external_id": {"$regex": f"^{name}-"}}
        found = {str(row["user_id"]) for row in get_db().donations.find(query)}
        assert found == {stored["users"][name]}
    assert number > len(OURS)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the connection to the test's database, because commands connect by themselves."""
    monkeypatch.setattr("config.database.connect_database", database.get_client)


@pytest.mark.usefixtures("alice", "connected")
def test_commands_report_the_duplicates(stored: dict[str, Any]) -> None:
    said = run_matchback("migrate").stdout
    assert "3 records share a mailbox with another" in said
    assert "matchback duplicates" in said
    told = json.loads(run_matchback("duplicates", "--json").stdout)
    assert {one["id"] for one in told} >= {stored["users"]["ned_again"]}
    assert "alice@uni.example." in run_matchback("duplicates").stdout
