"""Recounting while traffic goes on: exactly what was planted is found, and is mended."""

import threading

import pytest
from bson import ObjectId
from mongoengine import get_db

from documents import recount, steady_recount
from documents.lease import Lease, held
from documents.steady_recount import SteadyRecount
from jobs import recounting
from tests.cast import University, university
from tests.stack import Stack
from tests.test_story import settled


@pytest.fixture
def alice(stack: Stack) -> University:
    return university("Alice's University", stack.api())


def plant(fundraiser_id: str, email_id: str) -> set[tuple[str, str]]:
    """Wrong counters, as a bug or a hand in the database would leave them."""
    database = get_db()
    database.fundraisers.update_one(
        {"_id": ObjectId(fundraiser_id)}, {"$inc": {"raised.USD": 500, "donors": -1}}
    )
    database.emails.update_one({"_id": ObjectId(email_id)}, {"$inc": {"opens": 3}})
    return {("fundraisers", "raised.USD"), ("fundraisers", "donors"), ("emails", "opens")}


def test_planted_errors_are_found_and_repaired_under_load(alice: University) -> None:
    spring = alice.fundraiser()
    people = [{"name": "P", "email": f"p{n}@x.edu"} for n in range(10)]
    emails = [alice.email(spring, who) for who in people]
    stop = threading.Event()
    given = []

    def load() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            given.append(100)
            alice.gift(spring, 100, people[number % 10], email_id=emails[number % 10])

    loading = threading.Thread(target=load)
    loading.start()
    try:
        for _ in range(3):
            assert list(recount.recount()) == [], "a false alarm under load"
        planted = plant(spring, emails[0])
        off = list(recount.recount())
        # The email's wrong opens may have reached its mailing's and fundraiser's by a settle.
        assert planted <= {(drift.collection, drift.field) for drift in off}
        while off:
            for drift in off:
                recount.repair(drift)
            off = list(recount.recount())
    finally:
        stop.set()
        loading.join()
    report = settled(alice, spring)
    assert report["donations"]["raised"] == {"USD": sum(given)}
    assert report["donations"]["donors"] == 10
    assert report["emails"]["opens"] == 0
    assert list(recount.recount()) == []


@pytest.mark.usefixtures("real_database")
def test_the_steady_recount_goes_round_and_tells_what_it_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from documents.user import User

    users = [User.create(ObjectId(), "U", f"{n}@x.edu") for n in range(5)]
    get_db().users.update_one({"_id": users[2].id}, {"$set": {"emails_count": 7}})
    monkeypatch.setattr("documents.engine.recount.ROWS_A_PAGE", 2)
    assert steady_recount.summary() is None
    steps = 0
    while recounting.step():
        steps += 1
    found = steady_recount.summary()
    assert found is not None
    assert found[0] == 1
    assert steps >= len(recount.COLLECTIONS) + 3
    assert SteadyRecount.current().last_compared == 5


@pytest.mark.usefixtures("real_database")
def test_a_lease_is_one_processes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with held("repair", recounting.LEASE_TIME) as mine:
        assert mine
        assert Lease.take("repair", recounting.LEASE_TIME), "renewing is no new taking"
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr("documents.lease._holder", lambda: "another:1")
            assert not Lease.take("repair", recounting.LEASE_TIME)
    monkeypatch.setattr("documents.lease._holder", lambda: "another:1")
    assert Lease.take("repair", recounting.LEASE_TIME)
