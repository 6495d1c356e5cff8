"""Audit log: every change, removal and administrative act, with its actor and time, in a chain."""

import re
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner
from falcon import testing
from mongoengine import get_db

from documents.access import audit
from documents.access.audit import AuditEntry, OpenAct
from documents.values.time import now
from jobs.sweep import sweep_due_records
from service.api.openapi import list_operations
from service.cli import main
from service.routes import API_ROUTES
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university
from tools.testbed.provider_requests import SENDERS
from tools.testbed.stripe_events import make_invoice_event, post_stripe_event, set_stripe_secret

EXPERIMENT_ARMS = [{"name": "A", "weight": 1}, {"name": "B", "weight": 1}]


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    """Create the university on a real database, because assigning a payment needs a transaction."""
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


def entries(place: University) -> list[dict[str, Any]]:
    """Return the chain from its beginning, including the acts done so far."""
    audit.link_finished_acts()
    listed: list[dict[str, Any]] = place.get("/v1/audit?sort=seq&limit=200")["data"]
    return listed


def actions(place: University) -> list[str]:
    return [entry["action"] for entry in entries(place)]


def do_everything(place: University) -> set[str]:
    """Change, remove and administer every kind of record. Return the acts."""
    spring = place.fundraiser()
    mailing = place.mailing(spring)
    email, gift = place.email(spring), place.gift(spring)
    eve = place.make("users", name="Eve", email="eve@example.edu")["id"]
    key = place.make("api-keys", name="form", scopes=["read"])["id"]
    endpoint = place.make("webhook-endpoints", url="https://crm.example.edu/")["id"]
    tested = place.call("POST", f"/v1/webhook-endpoints/{endpoint}/test").json
    trouble = {"error": "ValueError", "tries": 5, "failed_at": now()}
    other = place.email(spring, {"name": "Eve", "email": "eve2@example.edu"})
    for id_ in (email, other):
        get_db().emails.update_one(
            {"_id": ObjectId(id_)}, {"$set": {"trouble": trouble}, "$unset": {"due": ""}}
        )
    set_stripe_secret(place)
    post_stripe_event(place, make_invoice_event("paid", 3))
    sweep_due_records()
    payment = place.get("/v1/payments")["data"][0]["id"]
    acts: list[tuple[str, str, Any]] = [
        ("PATCH", "/v1/organization", {"name": "New"}),
        ("PATCH", f"/v1/users/{eve}", {"email": "eve@new.example.edu"}),
        ("PATCH", f"/v1/fundraisers/{spring}", {"name": "New"}),
        ("PATCH", f"/v1/mailings/{mailing}", {"name": "New"}),
        ("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 100}),
        ("PUT", f"/v1/donations/{gift}/match", {"email_id": email}),
        ("DELETE", f"/v1/donations/{gift}/match", None),
        ("PUT", f"/v1/payments/{payment}/fundraiser", {"fundraiser_id": spring}),
        ("DELETE", f"/v1/payments/{payment}/fundraiser", None),
        ("PUT", "/v1/match-policy", {"touch": "first"}),
        ("DELETE", "/v1/match-policy", None),
        ("PUT", f"/v1/fundraisers/{spring}/match-policy", {"touch": "first"}),
        ("DELETE", f"/v1/fundraisers/{spring}/match-policy", None),
        *(
            (verb, f"/v1/webhook-keys/{provider}", body)
            for provider, sender in SENDERS.items()
            if provider != "sendgrid"  # `set_webhook_key` sets its key below
            for verb, body in (("PUT", {"secret": sender.key}), ("DELETE", None))
        ),
        ("DELETE", "/v1/webhook-keys/sendgrid", None),
        ("POST", f"/v1/jobs/failed/{email}/retry", None),
        ("DELETE", f"/v1/jobs/failed/{other}", None),
        ("DELETE", f"/v1/api-keys/{key}", None),
        ("PATCH", f"/v1/webhook-endpoints/{endpoint}", {"description": "CRM"}),
        ("POST", f"/v1/webhook-endpoints/{endpoint}/rotate-secret", None),
        ("POST", f"/v1/webhook-endpoints/{endpoint}/deliveries/{tested['id']}/resend", None),
        ("POST", f"/v1/webhook-endpoints/{endpoint}/deliveries/resend", None),
        ("DELETE", f"/v1/webhook-endpoints/{endpoint}", None),
        ("DELETE", f"/v1/donations/{gift}", None),
        ("DELETE", f"/v1/emails/{email}", None),
        ("DELETE", f"/v1/emails/{other}", None),
        ("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": EXPERIMENT_ARMS}),
        ("DELETE", f"/v1/mailings/{mailing}/experiment", None),
        ("DELETE", f"/v1/mailings/{mailing}", None),
        ("DELETE", f"/v1/fundraisers/{spring}", None),
        ("DELETE", f"/v1/users/{eve}?erase=true", None),
    ]
    place.set_webhook_key()
    done = {"POST /v1/api-keys", "PUT /v1/webhook-keys/sendgrid", "POST /v1/webhook-endpoints"}
    done.add("POST /v1/webhook-endpoints/{id}/test")
    for verb, path, body in acts:
        answer = place.call(verb, path, body)
        assert answer.status in {200, 202, 204}, (verb, path, answer.content)
        route = re.sub(r"(?<=/)[0-9a-f]{24}\b", "{id}", path.split("?")[0])
        done.add(f"{verb} {route.replace('deliveries/{id}', 'deliveries/{delivery_id}')}")
    return done


def test_every_change_and_administrative_act_is_audited(alice: University) -> None:
    done = do_everything(alice)
    declared = {
        f"{verb.upper()} {path}"
        for path, verb, operation, _ in list_operations(API_ROUTES)
        if operation.scope and verb != "get" and (operation.scope == "admin" or verb != "post")
    }
    assert done == declared  # the test performs every act
    assert set(actions(alice)) == declared
    assert audit.verify_chain(ObjectId(alice.id)).broken_at is None


def test_an_entry_has_actor_act_and_time_without_values(
    alice: University, charlie: University
) -> None:
    bob = alice.make("users", **BOB)["id"]
    before = now()
    alice.call("PATCH", f"/v1/users/{bob}", {"name": "Robert Secret", "email": "x@secret.example"})
    (entry,) = entries(alice)
    key = alice.get("/v1/api-keys")["data"][0]["id"]
    assert entry["actor"] == f"key:{key}"
    assert entry["action"] == "PATCH /v1/users/{id}"
    assert (entry["record"], entry["fields"], entry["outcome"]) == (bob, ["email", "name"], 200)
    assert entry["at"] >= before.isoformat()[:19]
    assert "ecret" not in str(list(get_db().audit.find())) + str(list(get_db().open_acts.find()))
    assert alice.get(f"/v1/audit?record={bob}&actor=key:{key}")["data"] == [entry]
    assert alice.get(f"/v1/audit?record={UNKNOWN_ID}")["data"] == []
    assert entries(charlie) == []
    assert alice.call("GET", "/v1/audit?sort=at").status == 422


def test_rejected_requests_are_not_audited(alice: University) -> None:
    alice.call("PATCH", f"/v1/users/{UNKNOWN_ID}", {"name": "New"})
    alice.call("PATCH", f"/v1/users/{UNKNOWN_ID}", {"unknown": 1})
    alice.call("DELETE", "/v1/match-policy")
    alice.api.call("DELETE", f"/v1/users/{UNKNOWN_ID}")
    assert entries(alice) == []
    assert OpenAct.objects.count() == 0


def test_a_request_repeated_under_a_key_is_audited_once(alice: University) -> None:
    for _ in range(3):
        alice.call(
            "POST",
            "/v1/api-keys",
            {"name": "form", "scopes": ["read"]},
            headers={"Idempotency-Key": "once"},
        )
    assert actions(alice) == ["POST /v1/api-keys"]


def test_an_act_whose_process_died_is_linked_without_an_outcome(alice: University) -> None:
    owner = ObjectId(alice.id)
    act = OpenAct.begin(owner, "key:x", "DELETE /v1/users/{id}", record=UNKNOWN_ID)
    assert entries(alice) == []  # it may be in progress
    OpenAct.objects(id=act.id).update_one(set__at=now() - timedelta(minutes=2))
    (entry,) = entries(alice)
    assert (entry["record"], entry["outcome"]) == (UNKNOWN_ID, None)


def test_interrupted_linking_resumes(alice: University) -> None:
    for name in ("A", "B"):
        alice.call("PATCH", "/v1/organization", {"name": name})
    first = OpenAct.objects.order_by("id").first()
    audit._append(first)  # the worker died then
    assert [entry["seq"] for entry in entries(alice)] == [1, 2]
    assert OpenAct.objects.count() == 0
    assert audit.verify_chain(ObjectId(alice.id)).broken_at is None


TAMPERING = {
    "an entry that is changed": lambda rows: rows.update_one(
        {"seq": 2}, {"$set": {"actor": "key:y"}}
    ),
    "an entry that is taken out": lambda rows: rows.delete_one({"seq": 2}),
    "an hour that is moved": lambda rows: rows.update_one({"seq": 2}, {"$set": {"at": now()}}),
    "entries that change places": lambda rows: (
        rows.update_one({"seq": 2}, {"$set": {"seq": 99}}),
        rows.update_one({"seq": 3}, {"$set": {"seq": 2}}),
        rows.update_one({"seq": 99}, {"$set": {"seq": 3}}),
    ),
}


@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=TAMPERING.keys())
def test_tampering_is_found(alice: University, tamper: Any) -> None:
    for name in "ABCD":
        alice.call("PATCH", "/v1/organization", {"name": name})
    entries(alice)
    OpenAct.objects.delete()
    tamper(get_db().audit)
    assert audit.verify_chain(ObjectId(alice.id)).broken_at == 2


def test_a_truncated_end_is_detected_with_a_noted_head(alice: University) -> None:
    owner = ObjectId(alice.id)
    for name in "ABCD":
        alice.call("PATCH", "/v1/organization", {"name": name})
    entries(alice)
    head = audit.verify_chain(owner).head
    assert audit.verify_chain(owner, head).broken_at is None
    alice.call("PATCH", "/v1/organization", {"name": "E"})
    entries(alice)
    assert audit.verify_chain(owner, head).broken_at is None  # the chain continues at the head
    get_db().audit.delete_many({"seq": {"$gte": 4}})
    assert audit.verify_chain(owner).broken_at is None
    assert audit.verify_chain(owner, head).broken_at == 4
    alice.call("PATCH", "/v1/organization", {"name": "made anew"})
    entries(alice)
    assert audit.verify_chain(owner, head).broken_at == 4


def test_the_command_line_prints_the_head_and_verifies(
    real_database: str, alice_on_disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CliRunner().invoke
    assert run(main, ["key", "create", alice_on_disk]).exit_code == 0
    assert run(main, ["link-key", "rotate"]).exit_code == 0
    assert run(main, ["recount"]).exit_code == 0  # only reads
    audit.link_finished_acts()
    done = [(row.organization_id, row.action, row.actor) for row in AuditEntry.objects]
    assert done == [
        (ObjectId(alice_on_disk), "key create", "command line"),
        (None, "link-key rotate", "command line"),
    ]
    verified = run(main, ["audit", "verify"])
    assert verified.exit_code == 0
    assert verified.output.count("intact") == 2
    head = audit.verify_chain(ObjectId(alice_on_disk)).head
    named = ["audit", "verify", "--organization", alice_on_disk]
    assert run(main, [*named, "--head", head]).exit_code == 0
    get_db().audit.update_one({"action": "key create"}, {"$set": {"action": "nothing"}})
    broken = run(main, ["audit", "verify"])
    assert broken.exit_code == 1
    assert "BROKEN at entry 1" in broken.output
    assert run(main, [*named, "--head", "garbage"]).exit_code == 2
    assert run(main, ["audit", "verify", "--head", head]).exit_code == 2


@pytest.fixture
def alice_on_disk(real_database: str) -> str:
    from documents.organization import Organization

    return str(Organization.create("Alice's University").id)
