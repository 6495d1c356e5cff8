"""Alice and Charlie send through one SendGrid account of the operator."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId
from cryptography.hazmat.primitives.asymmetric import ec
from falcon import testing
from mongoengine import get_db

from documents.webhook_key import SHARED_ACCOUNTS_ID, WebhookKey
from tools.testbed.cast import (
    Api,
    ApiAnswer,
    University,
    create_university,
    export_public_key,
    sign_webhook,
)

Deliver = Callable[..., ApiAnswer]


@pytest.fixture
def api(real_client: testing.TestClient) -> Api:
    return Api.in_process(real_client)


@pytest.fixture
def alice(api: Api) -> University:
    return create_university("Alice's University", api)


@pytest.fixture
def charlie(api: Api) -> University:
    return create_university("Charlie's University", api)


@pytest.fixture
def account_key(real_database: str) -> ec.EllipticCurvePrivateKey:
    """Return the key of the operator's account, which Matchback knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    WebhookKey.put(SHARED_ACCOUNTS_ID, "sendgrid", export_public_key(key))
    return key


@pytest.fixture
def deliver(api: Api, account_key: ec.EllipticCurvePrivateKey) -> Deliver:
    """Return a function that posts events as the operator's account does."""

    def post(events: Any, *, body: bytes | None = None, path: str = "") -> ApiAnswer:
        body = json.dumps(events).encode() if body is None else body
        return api.call(
            "POST",
            f"/v1/webhooks/sendgrid{path}",
            body=body,
            headers=sign_webhook(account_key, body),
        )

    return post


def count_deliveries(place: University) -> int:
    owner = {"organization_id": ObjectId(place.id)}
    return int(get_db().deliveries.count_documents(owner))
