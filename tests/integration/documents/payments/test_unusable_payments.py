"""Test payments are listed with their reason, and cannot be assigned."""

from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from jobs.sweep import sweep_due_records
from tests.integration.documents.payments.test_payment_assignment import listed
from tools.testbed.cast import Api, University, create_university
from tools.testbed.stripe_events import (
    make_charge_event,
    make_dispute_event,
    make_invoice_event,
    make_invoice_payment_event,
    make_refund_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    set_stripe_secret(alice)
    return alice


def test_a_test_payment_is_listed_and_not_assigned(alice: University) -> None:
    spring = alice.fundraiser()
    post_stripe_event(
        alice,
        set_metadata(make_charge_event("succeeded"), fundraiser_id=spring) | {"livemode": False},
    )
    post_stripe_event(
        alice, make_refund_event("refund.created", "re_1", 500, 3) | {"livemode": False}
    )
    [payment] = listed(alice)
    assert (payment["reason"], payment["payment_id"]) == ("test_mode", "pi_1")
    assert (payment["amount"], payment["currency"]) == (2500, "USD")
    path = f"/v1/payments/{payment['id']}/fundraiser"
    answer = alice.call("PUT", path, {"fundraiser_id": spring})
    assert answer.status == 409
    assert "test payment" in answer.json["detail"]
    reasons = [row["refused"][0]["reason"] for row in get_db().deliveries.find()]
    assert all("livemode is false" in reason for reason in reasons)
    assert alice.get("/v1/donations")["data"] == []


def test_a_plan_is_not_a_payment(alice: University) -> None:
    post_stripe_event(alice, make_invoice_event("paid", 3))
    post_stripe_event(alice, make_invoice_payment_event(3))
    assert [one["payment_id"] for one in listed(alice, "")] == ["pi_1"]


@pytest.mark.parametrize("status", ["\ud800", "won\udfff", {"a": ["\udc00"]}, "\x00"])
def test_a_status_that_is_not_text_fails_no_event(alice: University, status: Any) -> None:
    spring = alice.fundraiser()
    post_stripe_event(alice, set_metadata(make_charge_event("succeeded"), fundraiser_id=spring))
    post_stripe_event(alice, make_refund_event("refund.created", "re_1", 500, 3, status=status))
    post_stripe_event(alice, make_dispute_event("created", status, 4))
    sweep_due_records()
    [gift] = alice.get("/v1/donations")["data"]
    assert (gift["status"], gift["amount"]) == ("succeeded", 2500)
    assert get_db().deliveries.count_documents({"trouble": {"$exists": True}}) == 0


@pytest.mark.parametrize("created", [2**33, 253_402_300_800.5, 2**40 - 1])
def test_an_event_with_an_impossible_time_is_rejected(alice: University, created: float) -> None:
    spring = alice.fundraiser()
    told = set_metadata(make_charge_event("succeeded", created=None), fundraiser_id=spring) | {
        "created": created
    }
    post_stripe_event(alice, told)
    sweep_due_records()
    [post] = get_db().deliveries.find()
    assert post["refused"][0]["reason"] == "The event must have a valid time (created)."
    assert "trouble" not in post
