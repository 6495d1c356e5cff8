"""A bug is raised, logged and retried. It never rejects a client's input."""

import json
import logging
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db
from pymongo.errors import OperationFailure

from documents.erased import items as erased_items
from documents.payments import book as payment_book
from documents.payments import gift as payment_gift
from documents.payments.stripe import charges
from documents.payments.stripe import facts as stripe_events
from documents.providers import sendgrid
from documents.providers.registry import PROVIDERS
from documents.values import validators
from documents.values.time import now
from jobs.sweep import sweep_due_records
from tests.integration.documents.payments.test_payments import SECRET, post
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.stripe_events import (
    make_charge_event,
    make_intent_event,
    make_refund_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

AT = 1_763_800_000
# `int("x")` raises a ValueError, like most parsing bugs. A UnicodeError is one, too.
BUGS = [
    ValueError("invalid literal for int() with base 10"),
    UnicodeEncodeError("ascii", "ü", 0, 1, "ordinal not in range"),
    KeyError("amount"),
    AssertionError(),
    OperationFailure("no such command", 59),
]


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    set_stripe_secret(alice)
    alice.call("PUT", "/v1/webhook-keys/payments", {"secret": SECRET})
    return alice


def retry_now() -> None:
    """End the pause before the next attempt."""
    over = {"$set": {"trouble.retry_at": now() - timedelta(seconds=1)}}
    get_db().deliveries.update_many({"trouble": {"$exists": True}}, over)


def raising(error: Exception) -> Any:
    def bug(*_: Any, **__: Any) -> Any:
        raise error

    return bug


PLACES: list[tuple[Any, str]] = [
    (stripe_events, "read_facts"),
    (charges, "read_currency"),
    (payment_book, "add_facts"),
    (payment_book, "apply_payment"),
    (payment_gift, "decide_gift_state"),
    (payment_gift, "_new_gift"),
    (payment_book.PaymentWriter, "enter"),
]


@pytest.mark.parametrize("error", BUGS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0].__name__}.{place[1]}")
def test_a_bug_in_payments_is_retried_until_it_is_fixed(
    alice: University,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: tuple[Any, str],
    error: Exception,
) -> None:
    spring = alice.fundraiser()
    post_stripe_event(alice, set_metadata(make_charge_event("succeeded"), fundraiser_id=spring))
    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
        broken.setattr(*place, raising(error))
        sweep_due_records()
    row: Any = get_db().deliveries.find_one()
    assert row["trouble"]["tries"] == 1
    assert type(error).__name__ in row["trouble"]["error"]
    assert not row.get("refused_events")
    assert not row.get("refused")
    assert type(error).__name__ in caplog.text
    retry_now()
    sweep_due_records()
    [gift] = alice.get("/v1/donations")["data"]
    assert (gift["status"], gift["donor"]) == ("succeeded", BOB)
    row = get_db().deliveries.find_one()
    assert (row["counted_events"], row["refused"]) == (1, [])


def test_a_bug_in_one_payment_blocks_no_other(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    monkeypatch.setitem(stripe_events.FACT_READERS, "refund", lambda opened: int("x"))
    post_stripe_event(alice, make_refund_event("refund.created", "re_1", 100, 5))
    for number in range(3):
        told = make_intent_event("succeeded", "succeeded", id=f"pi_{number}")
        post_stripe_event(alice, set_metadata(told, fundraiser_id=spring))
    sweep_due_records()
    assert len(alice.get("/v1/donations")["data"]) == 3
    rows = list(get_db().deliveries.find())
    assert [bool(row.get("trouble")) for row in rows] == [True, False, False, False]


@pytest.mark.parametrize("error", [ValueError("a bug"), AssertionError("a bug")])
def test_a_bug_in_a_validator_does_not_reject_a_post(
    alice: University, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    spring = alice.fundraiser()
    post(alice, "gift-1", AT, spring)
    with monkeypatch.context() as broken:
        broken.setattr(validators, "LINE_CONTROL_PATTERN", SimpleNamespace(search=raising(error)))
        sweep_due_records()
    row: Any = get_db().deliveries.find_one()
    assert row["trouble"]["tries"] == 1
    retry_now()
    sweep_due_records()
    assert len(alice.get("/v1/donations")["data"]) == 1


@pytest.mark.parametrize("error", [ValueError("a bug"), UnicodeError("a bug"), KeyError("type")])
def test_a_bug_in_parsing_an_event_is_retried_and_blocks_no_other(
    alice: University, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    email = alice.email(alice.fundraiser())
    sweep_due_records()
    alice.deliver([make_event(email, "open", AT), make_event(email, "click", AT + 60)])
    real = sendgrid.read_event_report

    def bug(organization: bytes, item: Any) -> Any:
        if item["event"] == "open":
            raise error
        return real(organization, item)

    with monkeypatch.context() as broken:
        broken.setattr(sendgrid, "read_event_report", bug)
        sweep_due_records()
    row: Any = get_db().deliveries.find_one()
    assert row["trouble"]["tries"] == 1
    assert not row.get("refused_events")
    assert alice.get(f"/v1/emails/{email}")["clicks"] == 1
    retry_now()
    sweep_due_records()
    found = alice.get(f"/v1/emails/{email}")
    assert (found["opens"], found["clicks"]) == (1, 1)


def test_a_bug_in_parsing_loses_no_post(
    alice: University, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    email = alice.email(alice.fundraiser())
    sweep_due_records()
    with monkeypatch.context() as broken:
        bug = raising(ValueError("a bug"))
        broken.setitem(PROVIDERS, "sendgrid", replace(PROVIDERS["sendgrid"], unwrap=bug))
        broken.setattr("documents.tracking.reader.parse_items", bug)
        assert (
            alice.deliver([make_event(email, "open", AT), make_event(email, "open", AT + 1)]).status
            == 202
        )
        sweep_due_records()
    assert "cannot read a webhook delivery" in caplog.text
    assert alice.get(f"/v1/emails/{email}")["opens"] == 0
    retry_now()
    sweep_due_records()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 2


def test_a_bug_in_parsing_does_not_erase_a_whole_post(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps([make_event(str(ObjectId()), "open", AT)]).encode()
    monkeypatch.setattr("documents.erased.items.parse_items", raising(ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        erased_items.remove_items(body, [0])
