"""A recount during traffic finds and repairs exactly the planted errors."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from bson import ObjectId
from mongoengine import get_db

from documents.recount import recount
from tests.system.test_story import settled
from tools.testbed.cast import University, create_university
from tools.testbed.emptied import delete_records
from tools.testbed.namespaces import find_shared_pid_command
from tools.testbed.stack import Stack


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    """Return a setting that no other module uses, so that this module has its own worker.

    These tests compare the whole database, and write incorrect counters.
    """
    return {"MATCHBACK_WORKER_THREADS": "3"}


@pytest.fixture
def alice(shared_stack: Stack) -> University:
    """Alice's university is alone in the database, because earlier tests left wrong counters."""
    delete_records(get_db())
    return create_university("Alice's University", shared_stack.api())


def plant(fundraiser_id: str, email_id: str) -> set[tuple[str, str]]:
    """Write incorrect counters, as a bug or a manual change could leave them."""
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
            assert list(recount.find_drifts()) == [], "a false alarm under load"
        planted = plant(spring, emails[0])
        off = list(recount.find_drifts())
        # A settle may have copied the email's incorrect opens to its mailing and fundraiser.
        assert planted <= {(drift.collection, drift.field) for drift in off}
        while off:
            for drift in off:
                recount.repair_counter(drift)
            off = list(recount.find_drifts())
    finally:
        stop.set()
        loading.join()
    report = settled(alice, spring)
    assert report["donations"]["raised"] == {"USD": sum(given)}
    assert report["donations"]["donors"] == 10
    assert report["emails"]["opens"] == 0
    assert list(recount.find_drifts()) == []


REPAIRERS = 10


def incorrect_counters(alice: University) -> tuple[str, list[str]]:
    """Create a fundraiser with ten emails and incorrect counters everywhere."""
    spring = alice.fundraiser()
    people = [{"name": "P", "email": f"p{n}@x.edu"} for n in range(10)]
    emails = [alice.email(spring, who) for who in people]
    alice.gift(spring, 100, people[0], email_id=emails[0])
    settled(alice, spring)
    plant(spring, emails[0])
    get_db().fundraisers.update_one({}, {"$inc": {"raised.USD": -777 - 500}})
    get_db().users.update_many({}, {"$inc": {"emails_count": 3}})
    get_db().users.update_many({"donations_count": 1}, {"$unset": {"last_donated_at": ""}})
    get_db().donations.update_one({}, {"$set": {"counted": []}})
    return spring, emails


def check(alice: University, spring: str, raised: int) -> None:
    assert list(recount.find_drifts()) == []
    report = settled(alice, spring)
    assert report["donations"]["raised"] == {"USD": raised}
    assert report["emails"]["opens"] == 0
    assert get_db().users.distinct("emails_count") == [1]


def test_ten_concurrent_repairs_repair_each_counter_once(
    alice: University,
) -> None:
    """No repair holds a lease, as after a pause of its holder."""
    spring, emails = incorrect_counters(alice)
    found = list(recount.find_drifts())
    assert len(found) > 10
    with ThreadPoolExecutor(REPAIRERS) as threads:
        repairs = [
            threads.submit(lambda: [*map(recount.repair_counter, found)]) for _ in range(REPAIRERS)
        ]
        given = 100
        while not all(one.done() for one in repairs):
            # The gift adds the missing amount, so a counter returns to its old, incorrect value.
            alice.gift(spring, 777, email_id=emails[given % 10])
            given += 777
        results = [one.result() for one in repairs]
    for which in zip(*results, strict=True):
        assert sum(which) <= 1, "a counter was repaired twice"
    while off := list(
        recount.find_drifts()
    ):  # from settling in between, based on incorrect counters
        assert [*map(recount.repair_counter, off)]
    check(alice, spring, given)


def test_an_old_finding_is_repaired_once(alice: University) -> None:
    spring, _ = incorrect_counters(alice)
    found = list(recount.find_drifts())
    assert any([*map(recount.repair_counter, found)])
    check(alice, spring, 100)
    assert not any([*map(recount.repair_counter, found)])
    check(alice, spring, 100)


def test_a_manually_corrected_counter_is_not_changed(alice: University) -> None:
    incorrect_counters(alice)
    [raised] = [
        one
        for one in recount.find_drifts()
        if (one.collection, one.field) == ("fundraisers", "raised.USD")
    ]
    get_db().fundraisers.update_one({"_id": raised.id}, {"$set": {"raised.USD": raised.expected}})
    assert not recount.repair_counter(raised)
    assert get_db().fundraisers.find_one(raised.id)["raised"]["USD"] == raised.expected


PAUSED = """
import sys, time
from documents.concurrency import lease
from documents.recount import recount
if {pretend}:
    lease._take = lambda *args: True
repair = recount.repair_counter
def slow(drift):
    time.sleep(0.05)  # so that the other processes find the same difference
    return repair(drift)
recount.repair_counter = slow
from service.cli import main
main(["recount", "--repair"])
"""


@pytest.mark.parametrize("both_hold_the_lease", [False, True])
def test_repairs_with_the_same_host_name_and_pid_leave_correct_counters(
    alice: University, both_hold_the_lease: bool
) -> None:
    spring, _ = incorrect_counters(alice)
    script = PAUSED.format(pretend=both_hold_the_lease)
    command = [*find_shared_pid_command(), sys.executable, "-c", script]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60)[0] for process in processes]
    codes = sorted(process.returncode for process in processes)
    if both_hold_the_lease:
        assert codes == [0, 0], told
    else:
        assert "Another repair is running" in "".join(told) or codes == [0, 0]
    check(alice, spring, 100)
