"""Erasing finds a person where only an ID, a plan or another record names them."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.migrations.migration import mark_all_finished
from documents.migrations.steps import MIGRATIONS
from tests.integration.documents.payments.test_payments import SECRET, post
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    FIRST_EVENT_AT,
    INVOICE_ID,
    make_charge_event,
    make_intent_event,
    make_invoice_event,
    make_invoice_payment_event,
    make_refund_event,
    make_session_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

ANN = {"name": "Ann Able", "email": "ann@example.edu"}
ELSEWHERE = {"name": "Annie Able", "email": "annie@home.example"}
STORES = ("donations", "payments", "deliveries", "events", "users")


@pytest.fixture(params=["migrated", "not migrated"])
def alice(real_client: testing.TestClient, request: pytest.FixtureRequest) -> University:
    """Create the university before and after the migration that indexes payments for erasure."""
    if request.param == "migrated":
        mark_all_finished(MIGRATIONS)
    alice = create_university("Alice's University", Api.in_process(real_client))
    set_stripe_secret(alice)
    alice.call("PUT", "/v1/webhook-keys/payments", {"secret": SECRET})
    return alice


def erase(alice: University, person: dict[str, str] = ANN) -> None:
    settle_all()
    found = alice.get(f"/v1/users?email={person['email']}")["data"]
    user = found[0]["id"] if found else alice.make("users", **person)["id"]
    assert alice.call("DELETE", f"/v1/users/{user}?erase=true").status in (202, 204)
    settle_all()


def traces(*words: str) -> list[str]:
    """Return the stored records that have one of the words."""
    found = [(name, str(row).lower()) for name in STORES for row in get_db()[name].find()]
    wanted = words or ("ann@", "ann able")
    return [f"{name} {text}" for name, text in found if any(word in text for word in wanted)]


def gift_of(id_: str) -> Any:
    return get_db().donations.find_one({"_id": ObjectId(id_)})


def test_a_cheque_whose_id_names_her_is_erased(alice: University) -> None:
    spring = alice.fundraiser()
    body = {"fundraiser_id": spring, "amount": 1000, "currency": "USD"}
    named = {"donor": {"name": "Ann Able"}, "external_id": "cheque/ann%40example.edu/7"}
    made = alice.make("donations", **body, **named)
    alice.make("donations", **body, recurring_id="monthly: Ann+x@Example.edu")
    alice.make("donations", **body, email_id="for ann@example.edu")
    settle_all()
    before = alice.report(spring)["donations"]
    erase(alice)
    assert traces() == []
    assert alice.report(spring)["donations"] == before
    again = alice.call("POST", "/v1/donations", body | named)
    assert (again.status, again.json["id"]) == (200, made["id"])
    assert traces() == []


def test_another_persons_gift_keeps_its_donor_and_match(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, BOB)
    token = alice.get(f"/v1/emails/{email}")["link_token"]
    link = f"{token}?friend=ann@example.edu"
    names = {"email_id": link, "recurring_id": "with ann@example.edu", "external_id": "b"}
    made = alice.gift(spring, 1000, BOB, **names)
    own = alice.email(spring, ANN)
    link = f"{alice.get(f'/v1/emails/{own}')['link_token']}&e=ann@example.edu"
    hers = alice.gift(spring, 1000, ANN, email_id=link)
    settle_all()
    before = alice.report(spring)["donations"]
    erase(alice)
    assert traces() == []
    assert alice.report(spring)["donations"] == before
    assert (gift_of(made)["donor_email"], gift_of(made)["match"]) == (BOB["email"], "link")
    assert gift_of(made)["email_id"] == ObjectId(email)
    assert (gift_of(hers)["match"], gift_of(hers)["email_id"]) == ("link", ObjectId(own))


@pytest.mark.parametrize("donor", [{}, {"name": "Ann Able"}, BOB])
def test_a_payment_whose_key_names_her_is_erased(alice: University, donor: dict[str, str]) -> None:
    for _ in range(2):
        post(alice, "ann@example.edu/1", float(FIRST_EVENT_AT), UNKNOWN_ID, donor=donor)
        erase(alice)
        assert traces() == []
    [payment] = get_db().payments.find()
    assert (BOB["email"] in str(payment)) == (donor == BOB)


def test_a_plan_is_erased_with_its_instalments(alice: University) -> None:
    spring = alice.fundraiser()
    ended = {"payment_intent": None, "subscription": "sub_1", "invoice": INVOICE_ID}
    named = {"customer_details": ELSEWHERE, "metadata": {"fundraiser_id": spring}}
    post_stripe_event(
        alice, make_session_event("completed", 4, mode="subscription", **ended, **named)
    )
    post_stripe_event(alice, make_invoice_event("paid", 3))
    post_stripe_event(alice, make_invoice_payment_event(3))
    post_stripe_event(alice, make_charge_event("succeeded", 1, billing_details=ANN))
    erase(alice)
    assert traces("ann@", "annie", "able") == []


def test_a_payment_of_a_clients_gift_is_erased(alice: University) -> None:
    spring = alice.fundraiser()
    alice.gift(spring, 2500, ANN, external_id="pi_1")
    post_stripe_event(alice, make_charge_event("succeeded", 1, billing_details=ELSEWHERE))
    erase(alice)
    assert traces("ann@", "annie", "able") == []
    post_stripe_event(alice, make_refund_event("refund.created", "re_1", 500, 4))
    settle_all()
    [gift] = get_db().donations.find()
    assert (gift["refunded_amount"], gift["donor_name"]) == (500, "(erased)")


def test_an_invoice_erased_before_its_payment_stays_erased(alice: University) -> None:
    spring = alice.fundraiser()
    told = {"customer_email": ANN["email"], "customer_name": ANN["name"]}
    post_stripe_event(
        alice, set_metadata(make_invoice_event("paid", 3, **told), fundraiser_id=spring)
    )
    erase(alice)
    post_stripe_event(alice, make_invoice_payment_event(3))
    settle_all()
    post_stripe_event(
        alice,
        set_metadata(make_intent_event("succeeded", "succeeded", 2, receipt_email=ANN["email"])),
    )
    post_stripe_event(alice, make_charge_event("succeeded", 1, billing_details=ANN))
    settle_all()
    assert traces() == []
    [gift] = get_db().donations.find()
    assert (gift["amount"], gift["donor_email"]) == (2500, "")


def test_repeated_events_of_another_payment_restore_nothing(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, BOB)
    link = f"{alice.get(f'/v1/emails/{email}')['link_token']}?friend=ann@example.edu"
    named = {"fundraiser_id": spring, "recurring_id": "with ann@example.edu", "email_id": link}
    told = set_metadata(make_charge_event("succeeded", 1), **named)
    post_stripe_event(alice, told)
    erase(alice)
    for event in (told, make_refund_event("refund.created", "re_1", 500, 4)):
        post_stripe_event(alice, event)
        settle_all()
        assert traces() == []
        [gift] = get_db().donations.find()
        assert (gift["donor_email"], gift["match"]) == (BOB["email"], "link")
        assert gift["decision"]["rule"] == "link_token"
    post_stripe_event(
        alice, set_metadata(make_charge_event("refunded", 9, amount_refunded=700), **named)
    )
    settle_all()
    assert [found.split()[0] for found in traces()] == ["deliveries"]  # a new post of Bob's
    [gift] = get_db().donations.find()
    assert (gift["match"], gift["refunded_amount"]) == ("link", 700)
