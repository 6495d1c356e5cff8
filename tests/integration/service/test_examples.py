"""The service accepts every example of the OpenAPI document."""

import json
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db

from config.settings import get_settings
from documents.providers.provider import EXAMPLE_EMAIL_ID, EXAMPLE_FUNDRAISER_ID
from documents.values.time import now
from service.api import examples
from service.api.openapi import build_openapi_document, list_operations
from service.routes import API_ROUTES
from tools.testbed.cast import Api, University, create_university, sign_webhook
from tools.testbed.webhook_proofs import ProvenRequest, list_secrets, prove_request

ASSIGNMENT = "/v1/payments/{id}/fundraiser"
BODIES = [
    (path, verb)
    for path, verb, declared, _ in list_operations(API_ROUTES)
    if declared.body is not None or declared.raw
]


def prove(path: str, body: bytes, alice: University) -> ProvenRequest:
    """Return the body and headers of a webhook, as its provider sends them."""
    provider = path.split("/")[3]
    if provider == "sendgrid":
        return ProvenRequest(body, sign_webhook(alice.signing_key, body))
    return prove_request(provider, body, get_settings().url + path)


def payment(alice: University) -> str:
    """Store a payment that names no fundraiser, and return its ID."""
    id_ = ObjectId()
    of = ObjectId(alice.id)
    row = {"_id": f"{of}:stripe:pi_1", "organization_id": of, "public_id": id_, "facts": {}}
    get_db().payments.insert_one(row | {"reason": "no_amount", "created_at": now()})
    return str(id_)


@pytest.mark.parametrize(("path", "verb"), BODIES, ids=lambda part: str(part).removeprefix("/v1/"))
def test_an_example_is_accepted(request: pytest.FixtureRequest, path: str, verb: str) -> None:
    # Operations with transactions need a real database.
    client = request.getfixturevalue("real_client" if path == ASSIGNMENT else "client")
    alice = create_university("Alice's University", Api.in_process(client))
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, {"name": "Eve", "email": "eve@example.edu"}, mailing_id=mailing)
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    gift = alice.gift(spring)
    alice.set_webhook_key()
    for provider, secret in list_secrets().items():
        alice.call("PUT", f"/v1/webhook-keys/{provider}", {"secret": secret})
    real = {
        EXAMPLE_FUNDRAISER_ID: spring,
        examples.EXAMPLE_MAILING_ID: mailing,
        EXAMPLE_EMAIL_ID: email,
        examples.EXAMPLE_USER_ID: user,
    }
    described: Any = build_openapi_document(API_ROUTES)["paths"][path][verb]
    ((media_type, content),) = described["requestBody"]["content"].items()
    example = content["example"]
    text = example if isinstance(example, str) else json.dumps(example)
    for known, id_ in real.items():
        text = text.replace(known, id_)
    own = {"users": user, "fundraisers": spring, "mailings": mailing, "donations": gift}
    own["payments"] = payment(alice)
    at = path.replace("{id}", own.get(path.split("/")[2], "")).replace(
        "{organization_id}", alice.id
    )
    headers, body = {"Content-Type": media_type}, text.encode()
    if "/webhooks/" in path:
        body, proof = prove(at, body, alice)
        headers |= proof
    answer = alice.call(verb.upper(), at, body=body, headers=headers)
    assert str(answer.status) in described["responses"]
    assert answer.status < 300, answer.content
    if "refused_count" in answer.content.decode():
        assert answer.json["refused_count"] == 0


def test_every_body_has_an_example() -> None:
    models = {
        declared.body.__name__ for *_, declared, _ in list_operations(API_ROUTES) if declared.body
    }
    assert examples.EXAMPLE_BODIES.keys() == models
    raw = {path for path, _, declared, _ in list_operations(API_ROUTES) if declared.raw}
    assert examples.EXAMPLE_RAW_BODIES.keys() == raw
