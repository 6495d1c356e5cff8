"""Payments from before reasons existed are listed with their reasons, while webhooks arrive."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.migrations import migration as module
from documents.migrations.indexes import create_missing_indexes, drop_retired_indexes
from documents.migrations.migration import list_pending, run_migrations
from documents.migrations.steps import MIGRATIONS
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    make_charge_event,
    make_intent_event,
    make_invoice_event,
    make_invoice_payment_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

STEP = tuple(one for one in MIGRATIONS if one.number == 16)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    set_stripe_secret(alice)
    return alice


def renamed(event: Any, number: int) -> Any:
    thing = event["data"]["object"]
    for name in ("id", "payment_intent"):
        if isinstance(thing.get(name), str):
            thing[name] = f"{thing[name]}_{number}"
    return event


def as_before() -> None:
    """Give the stored payments the form of the previous version."""
    gone = dict.fromkeys(("public_id", "reason", "key", "assigned"), "")
    get_db().payments.update_many({}, {"$unset": gone})
    get_db().migrations.delete_one({"_id": 16})


def reasons(place: University) -> dict[str, str]:
    return {one["payment_id"]: one["reason"] for one in place.get("/v1/payments")["data"]}


def test_payments_of_the_previous_version_are_listed_and_assigned(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 2)
    spring = alice.fundraiser()
    post_stripe_event(
        alice, set_metadata(renamed(make_charge_event("succeeded"), 1), fundraiser_id=spring)
    )
    post_stripe_event(alice, renamed(make_charge_event("succeeded"), 2))
    post_stripe_event(
        alice, set_metadata(renamed(make_charge_event("succeeded"), 3), fundraiser_id=UNKNOWN_ID)
    )
    post_stripe_event(alice, renamed(make_intent_event("created", "requires_payment_method"), 4))
    post_stripe_event(alice, make_invoice_event("paid", 3))
    post_stripe_event(
        alice, make_invoice_payment_event(3)
    )  # the invoice now only points to its payment
    settle_all()
    before = reasons(alice)
    as_before()
    get_db().payments.create_index("organization_id")
    assert reasons(alice) == {}
    create_missing_indexes()
    post_stripe_event(
        alice, renamed(make_charge_event("updated", 9), 2)
    )  # before the migration reaches it
    settle_all()
    list(run_migrations(STEP))
    drop_retired_indexes()
    assert list_pending(STEP) == []
    assert reasons(alice) == before
    assert before == {
        "pi_1_1": None,
        "pi_1_2": "no_fundraiser",
        "pi_1_3": "unknown_fundraiser",
        "pi_1_4": "not_paid",
        "pi_1": "no_fundraiser",
    }
    assert "organization_id_1" not in get_db().payments.index_information()
    payments = get_db().payments.find({"linked_to": None, "instalments": None})
    ids = {row["public_id"] for row in payments}
    assert len(ids) == 5
    for payment in alice.get("/v1/payments?status=unassigned")["data"]:
        path = f"/v1/payments/{payment['id']}/fundraiser"
        assert alice.call("PUT", path, {"fundraiser_id": spring}).status == 200
    settle_all()
    assert alice.report(spring)["donations"]["count"] == 4


def test_a_second_migration_changes_nothing(alice: University) -> None:
    post_stripe_event(alice, make_charge_event("succeeded"))
    settle_all()
    as_before()
    list(run_migrations(STEP))
    once = list(get_db().payments.find())
    assert isinstance(once[0]["public_id"], ObjectId)
    get_db().migrations.delete_one({"_id": 16})
    list(run_migrations(STEP))
    assert list(get_db().payments.find()) == once
