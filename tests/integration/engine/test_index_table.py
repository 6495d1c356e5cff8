"""An index table repeats fields of records, in the transactions that change them."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import DateTimeField, Document, IntField, ObjectIdField, StringField, get_db

from documents.storage.transaction import in_transaction
from matchback import engine
from matchback.engine import Tx


class Club(Document):
    city = StringField()
    members = IntField(default=0)
    joined_at = DateTimeField()
    deleted_at = DateTimeField()
    meta = {"collection": "clubs"}


class BusyClub(Document):
    meta = {"collection": "busy_clubs"}


class Member(engine.Source, Document):
    club_id = ObjectIdField()
    joined_at = DateTimeField()
    votes = IntField(default=0)
    meta = {"collection": "members", "indexes": [engine.due_index(), "club_id"]}


class Vote(engine.Source, Document):
    member_id = ObjectIdField()
    meta = {"collection": "votes", "indexes": [engine.due_index(), "member_id"]}


class Voter(Document):
    meta = {"collection": "voters"}


LEDGER = engine.Ledger(
    [
        engine.CounterCache(field="members", of=Member, on=Club),
        engine.LatestCache(field="joined_at", of=Member, on=Club, at="joined_at"),
        engine.CounterCache(field="votes", of=Vote, on=Member),
    ],
    index_tables=[
        engine.IndexTable(
            of=Club, on=BusyClub, fields=("members", "joined_at"), fixed=("city",), pending=("due",)
        ),
        engine.IndexTable(
            of=Member, on=Voter, fields=("votes",), when=lambda member: bool(member.get("votes"))
        ),
    ],
)
CLUBS, VOTERS = LEDGER.index_tables


@pytest.fixture(autouse=True)
def clubs(real_database: str) -> Iterator[None]:
    yield
    for document in (Club, BusyClub, Member, Vote, Voter):
        document.drop_collection()


def settle() -> None:
    engine.settle_due(get_db(), LEDGER)


def drifts() -> list[tuple[str, Any, str]]:
    return [(one.collection, one.id, one.field) for one in engine.drifts(get_db(), LEDGER)]


def rows_of(name: str) -> dict[Any, Any]:
    return {row.pop("_id"): row for row in get_db()[name].find()}


def test_settling_writes_the_rows() -> None:
    club, empty = Club(city="York").save(), Club(city="Ely").save()
    at = engine.now().replace(microsecond=0)
    member = Member(club_id=club.id, joined_at=at).save()
    settle()
    assert rows_of("busy_clubs") == {club.id: {"city": "York", "members": 1, "joined_at": at}}
    assert rows_of("voters") == {}
    vote = Vote(member_id=member.id).save()
    settle()
    assert rows_of("voters") == {member.id: {"votes": 1}}
    vote.delete()
    settle()
    assert rows_of("voters") == {}
    member.club_id = empty.id
    member.save()
    settle()
    assert rows_of("busy_clubs") == {
        club.id: {"city": "York", "members": 0},
        empty.id: {"city": "Ely", "members": 1, "joined_at": at},
    }
    assert drifts() == []


def test_a_deleted_record_has_no_row() -> None:
    club = Club(city="York").save()
    member = Member(club_id=club.id).save()
    Vote(member_id=member.id).save()
    settle()
    assert set(rows_of("voters")) == {member.id}
    member.delete()
    assert drifts() == []  # it is due, so settling deletes the row soon
    settle()
    assert rows_of("voters") == {}
    club.update(deleted_at=engine.now())
    Member(club_id=club.id).save()
    settle()
    assert rows_of("busy_clubs") == {}


def test_a_transaction_that_fails_leaves_no_row() -> None:
    club = Club(city="York").save()
    Member(club_id=club.id).save()

    def work(tx: Tx) -> None:
        rows = list(tx.database.members.find(session=tx.session))
        engine.settle(tx, LEDGER, engine.Changes(rows={"members": rows}))
        tx.abort()

    in_transaction(work)
    assert rows_of("busy_clubs") == {}
    settle()
    assert set(rows_of("busy_clubs")) == {club.id}


def test_a_recount_finds_and_repairs_incorrect_rows() -> None:
    one, two, three = (Club(city=name).save() for name in ("Ely", "York", "Bath"))
    for club in (one, two, three):
        Member(club_id=club.id).save()
    settle()
    get_db().busy_clubs.delete_one({"_id": one.id})
    get_db().busy_clubs.update_one({"_id": two.id}, {"$set": {"members": 7}})
    get_db().clubs.update_one({"_id": three.id}, {"$inc": {"members": 5}})
    stray = Member(club_id=one.id).save()
    settle()
    get_db().voters.insert_one({"_id": stray.id, "votes": 2})
    get_db().busy_clubs.delete_one({"_id": one.id})
    found = list(engine.drifts(get_db(), LEDGER))
    assert {(one.collection, one.id, one.field) for one in found} == {
        ("busy_clubs", one.id, "city"),
        ("busy_clubs", two.id, "members"),
        ("clubs", three.id, "members"),  # its row will follow the repaired record
        ("voters", stray.id, "votes"),
    }
    assert all(engine.repair_drift(get_db(), LEDGER, drift) for drift in found)
    assert not any(engine.repair_drift(get_db(), LEDGER, drift) for drift in found)
    assert drifts() == []
    counts = {id_: row["members"] for id_, row in rows_of("busy_clubs").items()}
    assert counts == {one.id: 2, two.id: 1, three.id: 1}


@pytest.mark.parametrize("settles", ["vote", "unvote"])
def test_a_copy_beside_settling_loses_nothing(settles: str) -> None:
    member = Member(club_id=ObjectId()).save()
    votes = [Vote(member_id=member.id).save() for _ in range(2 if settles == "vote" else 1)]
    settle()
    get_db().voters.delete_many({})
    attempts = 0

    def work() -> None:
        if settles == "vote":
            Vote(member_id=member.id).save()
        else:
            votes[0].delete()
        settle()

    def copy(tx: Tx) -> None:
        nonlocal attempts
        attempts += 1
        list(tx.database.members.find(session=tx.session))  # the snapshot begins here
        if attempts == 1:
            worker = threading.Thread(target=work)
            worker.start()
            worker.join()
        engine.copy_again(tx, VOTERS, [member.id])

    in_transaction(copy)
    assert attempts > 1
    assert rows_of("voters") == ({member.id: {"votes": 3}} if settles == "vote" else {})
    assert drifts() == []


def test_a_table_that_is_not_filled_is_not_compared() -> None:
    table = engine.IndexTable(
        of=Club, on=BusyClub, fields=("members",), is_filled=lambda database: False
    )
    ledger = engine.Ledger(LEDGER.caches, index_tables=[table])
    Club(city="York").save()
    assert list(engine.drifts(get_db(), ledger)) == []
    assert drifts() != []
