"""Stripe's and plain payment webhooks: who may post, and how the service responds."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db
from standardwebhooks import Webhook
from stripe import WebhookSignature

from documents.access.api_key import ApiKey
from tools.testbed.cast import UNKNOWN_ID, University
from tools.testbed.stripe_events import (
    STRIPE_SECRET,
    make_charge_event,
    post_stripe_event,
    set_stripe_secret,
)

OTHER = "whsec_another-secret"
PLAIN = "whsec_" + base64.b64encode(b"matchback" * 4).decode()
NEWER = "whsec_" + base64.b64encode(b"kcabhctam" * 4).decode()


def stored() -> int:
    return int(get_db().deliveries.count_documents({}))


def plain(
    place: University,
    body: bytes,
    secret: str = PLAIN,
    *,
    age: float = 0,
    headers: dict[str, str] | None = None,
) -> Any:
    sent_at = datetime.now(UTC) - timedelta(seconds=age)
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(
            "msg_1", sent_at, body.decode("utf-8", "replace")
        ),
    }
    path = f"/v1/webhooks/payments/{place.id}"
    return place.api.call("POST", path, body=body, headers=signed | (headers or {}))


def test_a_signed_event_with_any_content_is_stored_and_accepted(alice: University) -> None:
    set_stripe_secret(alice)
    events: list[Any] = [make_charge_event("succeeded"), {}, [], None, "garbage"]
    for event in events:
        answer = post_stripe_event(alice, event)
        assert (answer.status, answer.json) == (202, {"accepted": 1})
    assert post_stripe_event(alice, None, body="no JSON {").json == {"accepted": 1}
    assert stored() == 6


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        "t=,v1=",
        "t=1,v1=abc",
        f"t={2**70},v1=abc",
        "v1=abc",
        "t=now,v1=abc",
        "t=1",
        "t=1,v0=abc",
        "t=1,v1=\xe9",
        "," * 1000,
    ],
)
def test_a_bad_signature_stores_nothing(alice: University, header: str) -> None:
    set_stripe_secret(alice)
    path = f"/v1/webhooks/stripe/{alice.id}"
    answer = alice.api.call("POST", path, body=b"{}", headers={"Stripe-Signature": header})
    assert answer.status == 401
    assert stored() == 0


def test_an_old_changed_or_foreign_event_is_not_stored(
    alice: University, charlie: University
) -> None:
    set_stripe_secret(alice)
    set_stripe_secret(charlie, OTHER)
    path = f"/v1/webhooks/stripe/{alice.id}"
    old = WebhookSignature.generate_signature_header("{}", STRIPE_SECRET, int(time.time()) - 400)
    fresh = WebhookSignature.generate_signature_header("{}", STRIPE_SECRET, int(time.time()))
    for body, header in ((b"{}", old), (b"{} ", fresh), (b"\xff", fresh)):
        answer = alice.api.call("POST", path, body=body, headers={"Stripe-Signature": header})
        assert answer.status == 401
    assert post_stripe_event(alice, {}, OTHER).status == 401
    for id_ in (UNKNOWN_ID, "nonsense", charlie.id):
        path = f"/v1/webhooks/stripe/{id_}"
        answer = alice.api.call("POST", path, body=b"{}", headers={"Stripe-Signature": fresh})
        assert answer.status == 401
    assert stored() == 0


def test_any_of_several_signatures_may_be_valid(alice: University) -> None:
    set_stripe_secret(alice)
    header = WebhookSignature.generate_signature_header("{}", STRIPE_SECRET, int(time.time()))
    several = header.replace(",v1=", ",v1=abc,v1=")
    path = f"/v1/webhooks/stripe/{alice.id}"
    answer = alice.api.call("POST", path, body=b"{}", headers={"Stripe-Signature": several})
    assert answer.status == 202


def test_two_secrets_are_valid_during_a_rotation_and_none_is_shown(
    alice: University,
) -> None:
    set_stripe_secret(alice)
    set_stripe_secret(alice, OTHER)
    found = alice.get("/v1/webhook-keys/stripe")
    ends = found["secret_ends_with"], found["previous_secret_ends_with"]
    assert ends == (OTHER[-4:], STRIPE_SECRET[-4:])
    assert STRIPE_SECRET not in json.dumps(found)
    assert OTHER not in json.dumps(found)
    assert post_stripe_event(alice, {}).status == post_stripe_event(alice, {}, OTHER).status == 202
    set_stripe_secret(alice, "whsec_the-third-one")
    assert post_stripe_event(alice, {}).status == 401
    assert alice.call("DELETE", "/v1/webhook-keys/stripe").status == 204
    assert alice.call("GET", "/v1/webhook-keys/stripe").status == 404
    assert post_stripe_event(alice, {}, OTHER).status == 401


def test_secrets_need_an_admin_and_belong_to_one_organization(
    alice: University, charlie: University
) -> None:
    set_stripe_secret(alice)
    _, key = ApiKey.issue(ObjectId(alice.id), "writer", ["read", "write"])
    writer = University(alice.id, key, alice.api)
    for verb, body in (("PUT", {"secret": OTHER}), ("GET", None), ("DELETE", None)):
        assert writer.call(verb, "/v1/webhook-keys/stripe", body).status == 403
    assert charlie.call("GET", "/v1/webhook-keys/stripe").status == 404
    assert post_stripe_event(alice, {}).status == 202


@pytest.mark.parametrize("provider", ["stripe", "payments"])
@pytest.mark.parametrize("secret", ["", "short", "with-an-ö-in-it", "whsec_\x00abcdefgh", None, 5])
def test_an_invalid_secret_is_rejected(alice: University, provider: str, secret: Any) -> None:
    answer = alice.call("PUT", f"/v1/webhook-keys/{provider}", {"secret": secret})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/secret")
    assert b"short" not in answer.content


@pytest.mark.parametrize("secret", ["whsec_!!!!", "whsec_c2hvcnQ=", "whsec_" + "YWJj" * 40])
def test_a_plain_secret_is_base64_of_24_to_64_bytes(alice: University, secret: str) -> None:
    assert alice.call("PUT", "/v1/webhook-keys/payments", {"secret": secret}).status == 422


def test_plain_posts_are_signed_by_standard_webhooks(alice: University) -> None:
    for secret in (PLAIN, NEWER):
        answer = alice.call("PUT", "/v1/webhook-keys/payments", {"secret": secret})
        assert answer.status == 200
    for secret in (PLAIN, NEWER):
        answer = plain(alice, b"{}", secret)
        assert (answer.status, answer.json) == (202, {"accepted": 1})
    assert plain(alice, b"no JSON").status == 202
    assert stored() == 3
    for answer in (
        plain(alice, b"{}", age=400),
        plain(alice, b"{}", age=-400),
        plain(alice, b"\xff\xfe"),
        plain(alice, b"{}", headers={"webhook-id": "msg_2"}),
        plain(alice, b"{}", headers={"webhook-signature": ""}),
        plain(alice, b"{}", headers={"webhook-signature": "v1"}),
        plain(alice, b"{}", headers={"webhook-signature": "v1,!!!"}),
        plain(alice, b"{}", headers={"webhook-signature": "v2,abcd"}),
        plain(alice, b"{}", headers={"webhook-timestamp": "nan"}),
        plain(alice, b"{}", headers={"webhook-timestamp": "9" * 400}),
        plain(alice, b"{}", "whsec_" + base64.b64encode(b"x" * 32).decode()),
    ):
        assert answer.status == 401
    assert stored() == 3


def test_one_provider_cannot_post_for_another(alice: University) -> None:
    set_stripe_secret(alice, PLAIN)
    assert plain(alice, b"{}").status == 401
    assert post_stripe_event(alice, {}, PLAIN).status == 202


def test_a_body_over_the_limit_is_413(alice: University) -> None:
    set_stripe_secret(alice)
    assert post_stripe_event(alice, None, body=" " * (2 * 1024 * 1024 + 1)).status == 413
    assert stored() == 0
