"""Staff see the last requests of each provider: the received ones, and why others were rejected."""

import gzip
import json

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.providers.provider import MAX_POST_BYTES
from documents.reports.recent_requests import (
    ReceivedRequest,
    RejectedRequests,
    find_last_requests,
    list_recent_requests,
)
from documents.webhook_rejections import (
    MAX_PENDING_NOTES,
    RejectionNotes,
    RejectionReason,
    WebhookRejections,
)
from jobs.sweep import sweep_due_records
from service.metrics.process import WEBHOOK_REJECTIONS
from service.middleware import webhooks
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university, make_event
from tools.testbed.provider_requests import post_signed, set_provider_key, sign_post
from tools.testbed.stack import wait_until
from tools.testbed.stripe_events import make_charge_event, post_stripe_event, set_stripe_secret

AT = 1_790_000_000


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> RejectionNotes:
    """Return notes that the test stores itself, without a thread."""
    notes = RejectionNotes()
    monkeypatch.setattr(notes._writing, "ensure_started", lambda: None)
    monkeypatch.setattr(webhooks, "rejection_notes", notes)
    return notes


def received(place: University, provider: str = "sendgrid") -> list[ReceivedRequest]:
    recent = list_recent_requests(ObjectId(place.id), provider)
    return [one for one in recent if isinstance(one, ReceivedRequest)]


def rejected(place: University, provider: str = "sendgrid") -> dict[RejectionReason, int]:
    vars(webhooks)["rejection_notes"].flush()
    recent = list_recent_requests(ObjectId(place.id), provider)
    return {one.reason: one.count for one in recent if isinstance(one, RejectedRequests)}


def post_unsigned(place: University, body: bytes = b"[]", id_: str = "", **headers: str) -> int:
    path = f"/v1/webhooks/sendgrid/{id_ or place.id}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return place.api.call("POST", path, body=body, headers=named).status


def test_a_received_request_shows_its_types_and_the_result_of_its_events(
    alice: University, charlie: University
) -> None:
    alice.set_webhook_key()
    email = alice.email(alice.fundraiser())
    known = [make_event(email, "delivered", AT), make_event(email, "open", AT + 1)]
    alice.deliver([*known, make_event(UNKNOWN_ID, "click", AT), {"event": "open"}])
    (waiting,) = received(alice)
    assert (waiting.types, waiting.items) == (("delivered", "open", "click"), 4)
    assert not waiting.is_tallied
    sweep_due_records()
    alice.deliver(known)
    sweep_due_records()
    again, first = received(alice)
    assert (first.counted, first.unmatched, first.unusable) == (2, 1, 1)
    assert first.reason == "no timestamp"
    assert (again.repeated, again.is_tallied) == (2, True)
    assert received(charlie) == []
    assert find_last_requests(ObjectId(alice.id))["sendgrid"].is_received
    assert find_last_requests(ObjectId(charlie.id)) == {}


def test_a_payment_shows_the_processors_own_type(alice: University) -> None:
    set_stripe_secret(alice)
    post_stripe_event(alice, make_charge_event("succeeded"))
    post_stripe_event(alice, None, body="no JSON {")
    unreadable, charge = received(alice, "stripe")
    assert (charge.types, unreadable.types) == (("charge.succeeded",), ())


@pytest.mark.parametrize(
    ("body", "types"),
    [
        (b"", ()),
        (b"x", ()),
        (b"[" * 100_000, ()),
        (b'[{"event": "open"', ()),
        (b"[,,,]", ()),
        (b"[1, null, []]", ()),
        (b'[{"event":"open","timestamp":1790000000}' + b" " * 70_000 + b"]", ("open",)),
        (b'{"event":"open","timestamp":1790000000}', ("open",)),
        (b'[{"event":"<b>","timestamp":1790000000}]', ("<b>",)),
    ],
)
def test_any_signed_body_has_a_line(alice: University, body: bytes, types: tuple[str]) -> None:
    alice.set_webhook_key()
    assert alice.deliver(None, body=body).status == 202
    assert received(alice)[0].types == types


def test_another_providers_requests_hide_none(alice: University) -> None:
    set_stripe_secret(alice)
    post_stripe_event(alice, make_charge_event("succeeded"))
    alice.set_webhook_key()
    for _ in range(12):
        alice.deliver([])
    assert len(received(alice)) == 10
    assert len(received(alice, "stripe")) == 1
    of = {"organization_id": ObjectId(alice.id), "provider": "stripe"}
    plan = get_db().deliveries.find(of).sort("_id", -1).limit(10).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 1


def test_each_reason_is_noted_and_the_client_does_not_see_it(
    alice: University, charlie: University, notes: RejectionNotes
) -> None:
    answers = set()
    for id_ in (alice.id, UNKNOWN_ID, "x"):
        path = f"/v1/webhooks/sendgrid/{id_}"
        answer = alice.api.call("POST", path, body=b"[]")
        answers.add((answer.status, answer.json["detail"]))
    assert rejected(alice) == {"no_key": 1}
    alice.set_webhook_key()
    right = sign_post(alice, "sendgrid", b"[]").headers  # another key signed it
    for headers in ({}, right):
        answer = alice.api.call(
            "POST", f"/v1/webhooks/sendgrid/{alice.id}", body=b"[]", headers=headers
        )
        answers.add((answer.status, answer.json["detail"]))
    assert len(answers) == 1
    assert post_unsigned(alice, b" " * (MAX_POST_BYTES + 1)) == 413
    assert post_unsigned(alice, gzip.compress(b"[]")[:-1], Content_Encoding="gzip") == 400
    assert post_unsigned(alice, Content_Encoding="br") == 415
    assert post_unsigned(alice, Content_Length="9") == 400
    assert rejected(alice) == {
        "no_key": 1,
        "unsigned": 1,
        "wrong_signature": 1,
        "too_large": 1,
        "damaged_compression": 1,
        "unknown_compression": 1,
        "unreadable_body": 1,
    }
    assert rejected(charlie) == {}
    assert not find_last_requests(ObjectId(alice.id))["sendgrid"].is_received
    stored = json.dumps(list(get_db().webhook_rejections.find()), default=str)
    assert not any(value in stored for value in right.values())


def test_a_signature_in_the_body_is_wrong_rather_than_missing(
    alice: University, notes: RejectionNotes
) -> None:
    set_provider_key(alice, "mailgun")
    path = f"/v1/webhooks/mailgun/{alice.id}"
    assert alice.api.call("POST", path, body=b"{}").status == 401
    assert rejected(alice, "mailgun") == {"wrong_signature": 1}
    assert post_signed(alice, "mailgun", b"{}").status == 202


def test_a_flood_is_one_write_and_hides_nothing(
    alice: University, charlie: University, notes: RejectionNotes
) -> None:
    alice.set_webhook_key()
    notes.note(charlie.id, "sendgrid", "no_key")
    for _ in range(500):
        notes.note(alice.id, "sendgrid", "wrong_signature")
    for _ in range(3 * MAX_PENDING_NOTES):
        notes.note(str(ObjectId()), "sendgrid", "no_key")
    notes.note(alice.id, "sendgrid", "unsigned")
    notes.note(alice.id, "stripe", "wrong_signature")
    assert len(notes._pending) <= MAX_PENDING_NOTES + 2
    assert rejected(alice) == {"wrong_signature": 500, "unsigned": 1}
    assert rejected(charlie) == {"no_key": 1}
    assert WebhookRejections.objects.count() == 3
    for _ in range(20):
        notes.note(alice.id, "sendgrid", "wrong_signature")
    assert rejected(alice) == {"wrong_signature": 520, "unsigned": 1}


def test_a_thread_stores_a_note_soon(alice: University) -> None:
    assert post_unsigned(alice) == 401
    wait_until(lambda: WebhookRejections.objects.count() == 1, "the note")


def test_operators_count_rejected_requests(alice: University, notes: RejectionNotes) -> None:
    def count(reason: str) -> float:
        return float(WEBHOOK_REJECTIONS.labels("sendgrid", reason)._value.get())

    before = count("no_key")
    for id_ in (alice.id, UNKNOWN_ID, "x"):
        assert post_unsigned(alice, id_=id_) == 401
    assert count("no_key") == before + 3
    for provider in ("fax", "sendgrid/x/y"):
        assert alice.api.call("POST", f"/v1/webhooks/{provider}/{alice.id}", {}).status == 404
    assert count("no_key") == before + 3
