"""Payments from before reasons existed are listed with their reasons, while webhooks arrive."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.migrations import migration as module
from documents.migrations.indexes import drop_retired, make_indexes
from documents.migrations.migration import migrate, pending
from documents.migrations.steps import MIGRATIONS
from tools.testbed.cast import UNKNOWN_ID, Api, University, university
from tools.testbed.settled import settle
from tools.testbed.stripe_events import (
    charge,
    intent,
    invoice,
    invoice_payment,
    ours,
    set_secret,
    tell,
)

STEP = tuple(one for one in MIGRATIONS if one.number == 16)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = university("Alice's University", Api.in_process(real_client))
    set_secret(alice)
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
    monkeypatch.setattr(module, "ROWS_A_PAGE", 2)
    spring = alice.fundraiser()
    tell(alice, ours(renamed(charge("succeeded"), 1), fundraiser_id=spring))
    tell(alice, renamed(charge("succeeded"), 2))
    tell(alice, ours(renamed(charge("succeeded"), 3), fundraiser_id=UNKNOWN_ID))
    tell(alice, renamed(intent("created", "requires_payment_method"), 4))
    tell(alice, invoice("paid", 3))
    tell(alice, invoice_payment(3))  # the invoice now only points to its payment
    settle()
    before = reasons(alice)
    as_before()
    get_db().payments.create_index("organization_id")
    assert reasons(alice) == {}
    make_indexes()
    tell(alice, renamed(charge("updated", 9), 2))  # before the migration reaches it
    settle()
    list(migrate(STEP))
    drop_retired()
    assert pending(STEP) == []
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
    settle()
    assert alice.report(spring)["donations"]["count"] == 4


def test_a_second_migration_changes_nothing(alice: University) -> None:
    tell(alice, charge("succeeded"))
    settle()
    as_before()
    list(migrate(STEP))
    once = list(get_db().payments.find())
    assert isinstance(once[0]["public_id"], ObjectId)
    get_db().migrations.delete_one({"_id": 16})
    list(migrate(STEP))
    assert list(get_db().payments.find()) == once
