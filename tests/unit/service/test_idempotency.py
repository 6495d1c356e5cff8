"""Idempotency-Key: a request takes effect once, whatever the network does."""

from datetime import timedelta

import pytest

from documents.donation import Donation
from documents.storage.idempotency import REQUEST_ABANDONED_AFTER, IdempotencyKey
from tools.testbed.cast import BOB, ApiAnswer, University


def give(place: University, key: str, **changes: object) -> ApiAnswer:
    spring = place.get("/v1/fundraisers")["data"] or [{"id": place.fundraiser()}]
    body = {"fundraiser_id": spring[0]["id"], "amount": 100, "currency": "USD", "donor": BOB}
    headers = {"Idempotency-Key": key}
    return place.call("POST", "/v1/donations", body | changes, headers=headers)


def test_a_repeated_request_gets_the_same_response(alice: University) -> None:
    first, again = give(alice, "k1"), give(alice, "k1")
    assert (first.status, again.status) == (201, 201)
    assert first.content == again.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert Donation.objects.count() == 1


def test_a_different_body_under_one_key_is_422(alice: University) -> None:
    give(alice, "k1")
    answer = give(alice, "k1", amount=200)
    assert answer.status == 422
    assert answer.json["errors"][0]["code"] == "idempotency_key_reused"


def test_a_different_key_is_a_different_request(alice: University) -> None:
    assert give(alice, "k1").json["id"] != give(alice, "k2").json["id"]


def test_idempotency_keys_belong_to_one_organization(
    alice: University, charlie: University
) -> None:
    assert give(alice, "k1").status == give(charlie, "k1").status == 201
    assert len(charlie.get("/v1/donations")["data"]) == 1


def test_a_rejected_request_frees_its_key(alice: University) -> None:
    assert give(alice, "k1", fundraiser_id="f" * 24).status == 422
    assert give(alice, "k1").status == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é"])
def test_an_invalid_idempotency_key_is_400(alice: University, key: str) -> None:
    assert give(alice, key).status == 400
    assert Donation.objects.count() == 0


def test_a_running_request_is_409_and_an_interrupted_one_resumes(alice: University) -> None:
    """The process died after it stored the gift and before it stored the response."""
    first = give(alice, "k1")
    kept = IdempotencyKey.objects.get()
    kept.update(unset__status=True, unset__answer=True, set__taken_at=kept.taken_at)
    assert give(alice, "k1").status == 409
    kept.update(set__taken_at=kept.taken_at - REQUEST_ABANDONED_AFTER - timedelta(seconds=1))
    again = give(alice, "k1")
    assert (again.status, again.json["id"]) == (201, first.json["id"])
    assert Donation.objects.count() == 1
    assert give(alice, "k1").headers["idempotency-replayed"] == "true"


def test_requests_for_every_noun_resume_after_a_crash(alice: University) -> None:
    spring = alice.fundraiser()
    bodies: dict[str, object] = {
        "users": {"name": "Zoe", "email": "zoe@example.edu"},
        "fundraisers": {"name": "F"},
        "mailings": {"name": "M", "fundraiser_id": spring},
        "emails": {"fundraiser_id": spring, "user": BOB},
        "api-keys": {"name": "K", "scopes": ["read"]},
    }
    for noun, body in bodies.items():
        headers = {"Idempotency-Key": noun}
        first = alice.call("POST", f"/v1/{noun}", body, headers=headers)
        kept = IdempotencyKey.objects.order_by("-created_at").first()
        kept.abandon()
        long_ago = kept.taken_at - 2 * REQUEST_ABANDONED_AFTER
        kept.update(unset__status=True, unset__answer=True, set__taken_at=long_ago)
        again = alice.call("POST", f"/v1/{noun}", body, headers=headers)
        assert (again.status, again.json["id"]) == (201, first.json["id"]), noun
    secret = again.json["secret"]  # the key that was never shown no longer works
    assert University(alice.id, secret, alice.api).call("GET", "/v1/users").status == 200
    gone = University(alice.id, first.json["secret"], alice.api)
    assert gone.call("GET", "/v1/users").status == 401


def test_stored_responses_are_encrypted(alice: University) -> None:
    alice.call(
        "POST",
        "/v1/api-keys",
        {"name": "reader", "scopes": ["read"]},
        headers={"Idempotency-Key": "k1"},
    )
    kept = IdempotencyKey.objects.get().to_mongo()
    assert b"mb_" not in bytes(kept["answer"])
    assert b"k1" not in bytes(kept["_id"])
