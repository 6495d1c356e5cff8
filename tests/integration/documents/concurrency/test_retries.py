"""Poison records: a bad record blocks nothing, is retried, and is kept as failed."""

import random
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db
from pymongo.errors import ServerSelectionTimeoutError

from documents.concurrency import retries
from documents.settling import settle as settling
from documents.values.time import now
from jobs.sweep import sweep_due_records
from tools.testbed.cast import Api, University, create_university, make_event

AT = 1_700_000_000


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def poison(email_id: str) -> None:
    """Create an email whose counters cannot be incremented."""
    where = {"_id": ObjectId(email_id)}
    get_db().emails.update_one(where, {"$set": {"opens": "many", "donations_count": "many"}})


def try_again_now(name: str) -> None:
    """End the pause before the next attempt."""
    get_db()[name].update_many(
        {"trouble.retry_at": {"$type": "date"}},
        {"$set": {"trouble.retry_at": now() - timedelta(seconds=1)}},
    )


def test_one_bad_gift_blocks_no_other(alice: University) -> None:
    spring = alice.fundraiser()
    bad, good = alice.email(spring), alice.email(spring)
    sweep_due_records()
    poison(bad)
    gifts = [alice.gift(spring, 100, email_id=email) for email in (good, bad, good)]
    sweep_due_records()
    assert alice.report(spring)["donations"]["count"] == 2
    row = get_db().donations.find_one({"_id": ObjectId(gifts[1])})
    assert row
    assert row["trouble"]["tries"] == 1
    assert alice.report(spring)["unsettled"]["donations"] == 1


def test_one_bad_event_blocks_no_other_of_its_post(alice: University) -> None:
    spring = alice.fundraiser()
    bad, good = alice.email(spring), alice.email(spring)
    sweep_due_records()
    poison(bad)
    alice.deliver([make_event(email, "open", AT) for email in (bad, good)])
    alice.deliver([make_event(good, "open", AT + 1)])
    sweep_due_records()
    assert alice.get(f"/v1/emails/{good}")["opens"] == 2
    assert alice.report(spring)["unsettled"]["deliveries"] == 1


def test_after_five_attempts_a_record_is_failed_until_it_changes(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    sweep_due_records()
    poison(email)
    gift = alice.gift(spring, email_id=email)
    for tries in range(1, retries.MAX_ATTEMPTS + 1):
        sweep_due_records()
        sweep_due_records()  # postponed: not retried before its time
        row: Any = get_db().donations.find_one()
        assert row["trouble"]["tries"] == tries
        assert row["trouble"]["error"] == "TypeError"
        try_again_now("donations")
    row = get_db().donations.find_one()
    assert row
    assert "due" not in row
    assert row["trouble"]["failed_at"]

    get_db().emails.update_many({}, {"$set": {"opens": 0, "donations_count": 0}})
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "succeeded"})
    sweep_due_records()
    assert alice.report(spring)["donations"]["count"] == 1
    assert "trouble" not in (get_db().donations.find_one() or {})


def fail_for_good(alice: University, spring: str) -> tuple[str, str]:
    """Create a gift that cannot be settled, and the poisoned email that it belongs to."""
    email = alice.email(spring)
    sweep_due_records()
    poison(email)
    gift = alice.gift(spring, email_id=email)
    for _ in range(retries.MAX_ATTEMPTS):
        sweep_due_records()
        try_again_now("donations")
    return gift, email


def test_a_failed_job_is_listed_and_retried_over_the_api(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    spring = alice.fundraiser()
    gift, _ = fail_for_good(alice, spring)
    path = f"/v1/jobs/failed/{gift}"
    (job,) = alice.get("/v1/jobs/failed")["data"]
    assert (job["id"], job["job"], job["tries"]) == (gift, "update_email_donation", 5)
    assert alice.get(path) == job
    assert charlie.get("/v1/jobs/failed")["data"] == []
    for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/retry")):
        assert charlie.call(method, where).status == 404
    for strange in ("x", "f" * 24):
        assert alice.call("GET", f"/v1/jobs/failed/{strange}").status == 404
    assert alice.call("GET", "/v1/jobs/failed?cursor=x").status == 400

    get_db().emails.update_many({}, {"$set": {"opens": 0, "donations_count": 0}})
    assert alice.call("POST", f"{path}/retry").status == 202
    sweep_due_records()
    assert alice.get("/v1/jobs/failed")["data"] == []
    assert alice.report(spring)["donations"]["count"] == 1


def test_failed_jobs_are_paged_and_can_be_discarded(alice: University) -> None:
    spring = alice.fundraiser()
    failed = [fail_for_good(alice, spring)[0] for _ in range(3)]
    first = alice.get("/v1/jobs/failed?limit=2")
    second = alice.get(f"/v1/jobs/failed?limit=2&cursor={first['next_cursor']}")
    listed = [job["id"] for job in first["data"] + second["data"]]
    assert (listed, second["next_cursor"]) == (failed[::-1], None)
    assert alice.call("DELETE", f"/v1/jobs/failed/{failed[0]}").status == 204
    assert alice.call("GET", f"/v1/jobs/failed/{failed[0]}").status == 404
    assert alice.report(spring)["unsettled"]["donations"] == 0


def test_a_database_outage_does_not_count_as_an_attempt(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    alice.gift(spring)

    def away(*_: Any, **__: Any) -> None:
        raise ServerSelectionTimeoutError("no primary")

    monkeypatch.setattr(settling, "settle", away)
    with pytest.raises(ServerSelectionTimeoutError):
        sweep_due_records()
    assert "trouble" not in (get_db().donations.find_one() or {})
    monkeypatch.undo()


def test_pauses_grow_and_are_jittered() -> None:
    pauses = [
        [
            retries.choose_retry_pause(tries, random.Random(seed)).total_seconds()
            for seed in range(50)
        ]
        for tries in range(1, retries.MAX_ATTEMPTS)
    ]
    for shorter, longer in pairwise(pauses):
        assert max(shorter) < min(longer)
    assert all(len(set(one)) == 50 for one in pauses)
