"""Indexes fit the queries: no regular query scans or sorts a whole collection."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.match import MATCHES_MIGRATION
from documents.migrations.indexes import update_indexes
from documents.payments.payment import Payment
from documents.values.time import now
from jobs.sweep import sweep_due_records
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.stripe_events import make_charge_event, post_stripe_event, set_stripe_secret

# Small collections of configuration, read with or without an index.
SMALL = {"leases", "recounts"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def scans() -> list[Any]:
    """Return the collection scans that the server's profiler recorded."""
    get_db().command("profile", 0)
    return [
        (seen["ns"], seen.get("command"))
        for seen in get_db()["system.profile"].find({"planSummary": {"$regex": "COLLSCAN|^SORT"}})
        if seen["ns"].split(".", 1)[1] not in SMALL
    ]


@pytest.mark.usefixtures("late_touch")
def test_a_day_of_work_scans_no_collection(alice: University) -> None:
    spring = alice.fundraiser()
    get_db().command("profile", 2)
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing, sent_at=None)
    alice.email(spring, BOB, mailing_id=mailing)
    gift = alice.gift(spring, email_id=email, external_id="x")
    body = {"fundraiser_id": spring, "amount": 1, "currency": "USD", "donor": BOB}
    assert alice.call("POST", "/v1/donations", body | {"external_id": "x"}).status == 200
    alice.gift(spring)
    alice.deliver(
        [make_event(email, kind, 1_700_000_000) for kind in ("processed", "open", "click")]
    )
    while sweep_due_records():
        pass
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 5})
    alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": None})
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    alice.call("PATCH", f"/v1/users/{user}", {"email": "bob@new.edu"})
    for number in range(3):
        alice.gift(spring, recurring_id="plan")
        alice.deliver([make_event(email, "click", 1_700_000_100 + number, url="https://x.edu/")])
        while sweep_due_records():
            pass
    set_stripe_secret(alice)
    post_stripe_event(alice, make_charge_event("succeeded"))
    sweep_due_records()
    for query in ("", "?status=unassigned", "?reason=no_fundraiser"):
        [payment] = alice.get(f"/v1/payments{query}")["data"]
    assert Payment.unassigned(ObjectId(alice.id), 100) == "1"
    path = f"/v1/payments/{payment['id']}"
    alice.call("PUT", f"{path}/fundraiser", {"fundraiser_id": spring})
    alice.get(path)
    alice.call("PUT", "/v1/match-policy", {"window_seconds": 5})
    alice.get("/v1/match-policy")
    alice.get(f"/v1/donations/{gift}/match")
    alice.call("DELETE", f"/v1/emails/{email}")
    while sweep_due_records():
        pass
    alice.report(spring)
    alice.get(f"/v1/mailings/{mailing}/report")
    alice.api.call("GET", "/metrics")
    assert scans() == []


def test_a_lookup_reads_one_document_among_many(alice: University) -> None:
    """MongoDB uses a partial index only for queries that repeat its filter."""
    rows = [
        {
            "organization_id": ObjectId(alice.id),
            "name": "U",
            "email": f"u{number}@x.edu",
            "address": f"u{number}@x.edu",
            "mailbox": f"u{number}@x.edu",
            "created_at": now(),
            "updated_at": now(),
            "version": 0,
        }
        for number in range(500)
    ]
    get_db().users.insert_many(rows)
    spring = alice.fundraiser()
    get_db().command("profile", 2)
    alice.email(spring, {"name": "U", "email": "U7@x.edu"})
    alice.gift(spring, donor={"name": "U", "email": "u7@x.edu"})
    while sweep_due_records():
        pass
    get_db().command("profile", 0)
    seen = get_db()["system.profile"].find({"ns": f"{get_db().name}.users", "op": "query"})
    examined = [one["docsExamined"] for one in seen]
    assert examined
    assert max(examined) <= 1


def test_a_replaced_index_is_dropped(real_database: str) -> None:
    emails = get_db().emails
    emails.create_index([("organization_id", 1), ("messages", 1)])
    update_indexes()
    assert "organization_id_1_messages_1" not in emails.index_information()


def test_an_index_is_dropped_only_after_the_migration_that_replaces_it(alice: University) -> None:
    donations = get_db().donations
    donations.create_index("mailing_id")
    update_indexes()
    assert "mailing_id_1" in donations.index_information()
    mark = {"$set": {"finished_at": now()}}
    get_db().migrations.update_one({"_id": MATCHES_MIGRATION}, mark, upsert=True)
    update_indexes()
    assert "mailing_id_1" not in donations.index_information()
