"""Incorrect counters are reported to their organization, once for each step of a recount."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.outgoing.event_delivery import EventDelivery
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.recount import background, drift_events
from documents.recount.background import SteadyRecount, list_drift_rounds
from documents.recount.drift_events import MAX_REPORTED_DRIFTS
from jobs.periodic import recount as job
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.settled import settle_all


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_with_endpoint("Alice's University", real_client)


def create_with_endpoint(name: str, client: testing.TestClient) -> University:
    place = create_university(name, Api.in_process(client))
    WebhookEndpoint.add(ObjectId(place.id), "https://crm.example.edu/hook", ["recount.drift_found"])
    return place


def recount_all() -> None:
    while job.step():
        pass


def list_events() -> list[Any]:
    return list(EventDelivery.objects.order_by("id"))


def list_differences() -> set[tuple[Any, ...]]:
    return {
        (event.organization_id, one["collection"], one["field"], one["stored"], one["counted"])
        for event in list_events()
        for one in event.data["differences"]
    }


def test_each_organization_hears_of_its_own_counters(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_with_endpoint("Charlie's University", real_client)
    spring, autumn = alice.fundraiser(), charlie.fundraiser()
    alice.gift(spring, email_id=alice.email(spring))
    settle_all()
    get_db().fundraisers.update_one({"_id": ObjectId(spring)}, {"$inc": {"raised.USD": 7}})
    get_db().fundraisers.update_one({"_id": ObjectId(autumn)}, {"$set": {"donations_count": 3}})
    get_db().gift_days.update_many({}, {"$set": {"gifts": {"5": 9}}})
    get_db().donors.update_many({}, {"$set": {"donations_count": 4}})
    get_db().user_index.update_many({}, {"$set": {"emails_count": 8}})
    recount_all()
    ours, theirs = ObjectId(alice.id), ObjectId(charlie.id)
    found = list_differences()
    assert (ours, "fundraisers", "raised.USD", 2507, 2500) in found
    assert (theirs, "fundraisers", "donations_count", 3, 0) in found
    assert (ours, "gift_days", "gifts.5", 9, 0) in found
    assert (ours, "donors", "donations_count", 4, 1) in found
    assert (ours, "user_index", "emails_count", 8, 1) in found
    (last, current) = list_drift_rounds()
    assert last.by_organization[theirs] == 1
    assert sum(last.by_organization.values()) == SteadyRecount.current().last_off
    assert current.by_organization == {}
    assert last.ended_at is not None


def test_an_event_counts_all_differences_and_lists_the_first(alice: University) -> None:
    for n in range(MAX_REPORTED_DRIFTS + 5):
        alice.make("users", name="P", email=f"p{n}@example.edu")
    get_db().users.update_many({}, {"$set": {"emails_count": 1}})
    recount_all()
    (told,) = (one for one in list_events() if one.data["count"] > 5)
    assert told.data["count"] == MAX_REPORTED_DRIFTS + 5
    assert len(told.data["differences"]) == MAX_REPORTED_DRIFTS
    assert "@" not in str(told.data)


@pytest.fixture
def _many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("documents.recount.background.RECOUNTED_ROWS_PER_STEP", 2)


@pytest.mark.usefixtures("_many_steps")
def test_a_killed_step_reports_each_difference_once(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker dies after it wrote the progress and the event, and before the commit."""
    for n in range(5):
        alice.make("users", name="P", email=f"p{n}@example.edu")
    get_db().users.update_many({}, {"$set": {"emails_count": 1}})
    note_drifts = drift_events.note_drifts

    def die(*args: Any) -> None:
        note_drifts(*args)
        if args[1]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(background, "note_drifts", die)
        with pytest.raises(KeyboardInterrupt):
            recount_all()
    assert list_events() == []
    recount_all()
    told = [one["id"] for event in list_events() for one in event.data["differences"]]
    assert len(told) == len(set(told)) == 5
    versions = [event.version for event in list_events()]
    assert versions == sorted(set(versions))
    assert len(versions) == 3


def test_a_worker_that_lost_its_lease_stores_nothing(alice: University) -> None:
    spring = alice.fundraiser()
    late = SteadyRecount.current()
    recount_all()
    steps = SteadyRecount.current().steps
    get_db().fundraisers.update_one({"_id": ObjectId(spring)}, {"$inc": {"raised.USD": 7}})
    late.collection = "fundraisers"
    assert late.step() == []
    assert SteadyRecount.current().steps == steps
    assert list_events() == []


def test_values_of_unknown_kinds_and_addresses_are_not_reported(alice: University) -> None:
    spring = alice.fundraiser()
    alice.gift(spring)
    settle_all()
    get_db().fundraisers.update_one({}, {"$set": {"donations_count": BOB["email"]}})
    get_db().donations.update_one({}, {"$set": {"counted": []}})
    recount_all()
    stored = str(list(get_db().event_deliveries.find()))
    assert "'counted'" in stored
    assert BOB["email"] not in stored
