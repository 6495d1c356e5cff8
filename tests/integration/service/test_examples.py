"""The service accepts every example of the OpenAPI document."""

import json
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db

from config.settings import get_settings
from documents.providers.provider import EXAMPLE_EMAIL_ID, EXAMPLE_FUNDRAISER_ID
from documents.providers.registry import PROVIDERS
from documents.values.time import now
from documents.webhook_key import SHARED_ACCOUNTS_ID
from service.api import examples
from service.api.openapi import build_openapi_document, list_operations
from service.routes import API_ROUTES
from tools.testbed.cast import Api, University, create_university
from tools.testbed.provider_requests import SENDERS, set_provider_key

ASSIGNMENT = "/v1/payments/{id}/fundraiser"
BODIES = [
    (path, verb)
    for path, verb, declared, _ in list_operations(API_ROUTES)
    if declared.body is not None or declared.raw
]


def payment(alice: University) -> str:
    """Store a payment that names no fundraiser, and return its ID."""
    id_ = ObjectId()
    of = ObjectId(alice.id)
    row = {"_id": f"{of}:stripe:pi_1", "organization_id": of, "public_id": id_, "facts": {}}
    get_db().payments.insert_one(row | {"reason": "no_amount", "created_at": now()})
    return str(id_)


def share_keys() -> None:
    """Let shared accounts have the same keys as the organization."""
    for keys in list(get_db().webhook_keys.find()):
        shared = {"_id": ObjectId(), "organization_id": SHARED_ACCOUNTS_ID}
        get_db().webhook_keys.insert_one(keys | shared)


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
    for provider in PROVIDERS:
        assert set_provider_key(alice, provider).status == 200
    share_keys()
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
    own["webhook-endpoints"] = alice.make("webhook-endpoints", url="https://example.edu/")["id"]
    at = path.replace("{id}", own.get(path.split("/")[2], "")).replace(
        "{organization_id}", alice.id
    )
    headers, body = {"Content-Type": media_type}, text.encode()
    if "/webhooks/" in path:
        proof, body = SENDERS[at.split("/")[3]].prove(body, get_settings().url + at)
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
