"""Each change of a match, refund, bounce and unsubscribe is one event of each endpoint."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.outgoing.bodies import build_bodies
from documents.outgoing.event_delivery import EventDelivery
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

URL = "https://crm.example.edu/hook"
SENT = "2026-11-01T00:00:00Z"
CLICKED = 1_793_491_200 + 3600


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def add_endpoint(university: University, *events: str) -> WebhookEndpoint:
    endpoint, _ = WebhookEndpoint.add(ObjectId(university.id), URL, events or OUTGOING_EVENT_TYPES)
    return endpoint


def list_events(endpoint: WebhookEndpoint) -> list[EventDelivery]:
    settle_all()
    return list(EventDelivery.objects(endpoint_id=endpoint.id).order_by("id"))


def list_types(endpoint: WebhookEndpoint) -> list[str]:
    return [one.type for one in list_events(endpoint)]


def test_a_gift_is_reported_from_its_match_to_its_deletion(alice: University) -> None:
    endpoint = add_endpoint(alice)
    spring = alice.fundraiser()
    first, second = alice.email(spring, sent_at=SENT), alice.email(spring, sent_at=SENT)
    gift = alice.gift(spring, email_id=first)
    assert list_types(endpoint) == ["donation.matched"]
    settle_all()
    get_db().donations.update_many({}, {"$set": {"due": ObjectId(gift).generation_time}})
    assert list_types(endpoint) == ["donation.matched"]
    alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": second})
    assert list_types(endpoint)[1:] == ["donation.rematched"]
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 500})
    assert list_types(endpoint)[2:] == ["donation.refunded"]
    alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": None})
    assert list_types(endpoint)[3:] == ["donation.unmatched"]
    alice.call("DELETE", f"/v1/donations/{gift}")
    told = list_events(endpoint)
    assert [one.type for one in told[4:]] == ["donation.unmatched"]
    assert [one.version for one in told] == [1, 2, 3, 4, 5]
    assert len({one.event_id for one in told}) == 5
    assert told[0].data["email_id"] == ObjectId(first)
    assert told[1].data["previous_email_id"] == ObjectId(first)
    assert told[2].data["refunded_amount"] == 500
    assert told[4].data["deleted"] is True


def test_a_gift_without_an_email_is_reported_as_unmatched(alice: University) -> None:
    endpoint = add_endpoint(alice)
    alice.gift(alice.fundraiser())
    assert list_types(endpoint) == ["donation.unmatched"]


def test_a_refunded_gift_that_is_matched_again_is_reported(alice: University) -> None:
    endpoint = add_endpoint(alice)
    spring = alice.fundraiser()
    first, second = alice.email(spring, sent_at=SENT), alice.email(spring, sent_at=SENT)
    gift = alice.gift(spring, email_id=first)
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "refunded"})
    settle_all()
    alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": second})
    events = ["donation.matched", "donation.refunded", "donation.rematched"]
    assert sorted(list_types(endpoint)) == sorted(events)


def test_a_gift_from_before_the_endpoint_is_reported_when_it_changes(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    gift = alice.gift(spring, email_id=email)
    settle_all()
    endpoint = add_endpoint(alice)
    get_db().donations.update_many({}, {"$set": {"due": ObjectId(gift).generation_time}})
    assert list_types(endpoint) == []
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 500})
    assert list_types(endpoint) == ["donation.refunded"]


def test_a_bounce_and_an_unsubscribe_are_reported_once(alice: University) -> None:
    endpoint = add_endpoint(alice)
    email = alice.email(alice.fundraiser(), sent_at=SENT)
    for type_, at in (("bounce", CLICKED), ("unsubscribe", CLICKED + 1), ("bounce", CLICKED + 2)):
        assert alice.deliver([make_event(email, type_, at)]).status == 202
    settle_all()
    assert sorted(list_types(endpoint)) == ["email.bounced", "email.unsubscribed"]
    assert sorted(one.version for one in list_events(endpoint)) == [1, 2]


def test_an_endpoint_receives_its_chosen_types_of_its_organization_only(
    alice: University, real_client: testing.TestClient
) -> None:
    refunds, everything = add_endpoint(alice, "donation.refunded"), add_endpoint(alice)
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    foreign = add_endpoint(charlie)
    spring = alice.fundraiser()
    gift = alice.gift(spring, email_id=alice.email(spring, sent_at=SENT))
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 500})
    assert list_types(refunds) == ["donation.refunded"]
    assert sorted(list_types(everything)) == ["donation.matched", "donation.refunded"]
    assert list_types(foreign) == []


def test_a_disabled_endpoint_collects_events(alice: University) -> None:
    endpoint = add_endpoint(alice).amend(enabled=False)
    alice.gift(alice.fundraiser())
    assert [one.state for one in list_events(endpoint)] == ["failed"]


def test_stored_events_hold_no_name_and_no_address(alice: University) -> None:
    endpoint = add_endpoint(alice)
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    alice.gift(spring, email_id=email)
    alice.deliver([make_event(email, "bounce", CLICKED)])
    told = list_events(endpoint)
    stored: Any = list(get_db().event_deliveries.find())
    assert BOB["email"] not in str(stored)
    assert BOB["name"] not in str(stored)
    bodies = build_bodies(told)
    assert len(bodies) == 2
    assert all(BOB["email"].encode() in body for body in bodies)
