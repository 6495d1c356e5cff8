"""Batches of the other providers count on their emails, once, and nowhere else."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from falcon import testing
from mongoengine import get_db
from standardwebhooks import Webhook

from config.settings import get_settings
from tools.testbed.cast import Api, create_university
from tools.testbed.settled import settle_all

AT = 1_780_000_000
SECRET = "whsec_" + base64.b64encode(b"a secret of more than 24 bytes").decode()
Event = Callable[[str, str, int], dict[str, Any]]


def make_normalised(email: str, type_: str, at: int) -> dict[str, Any]:
    name = {"delivered": "delivered", "open": "opened", "click": "clicked", "prefetch": "opened"}
    time = datetime.fromtimestamp(at, UTC).isoformat()
    is_machine = type_ == "prefetch"
    return {"type": name[type_], "at": time, "email_id": email, "machine": is_machine}


def make_mandrill(email: str, type_: str, at: int) -> dict[str, Any]:
    agent = {"type": "Robot" if type_ == "prefetch" else "Browser"}
    name = {"prefetch": "open"}.get(type_, type_)
    message = {"_id": email, "email": "bob@example.edu", "metadata": {"email_id": email}}
    return {"event": name, "ts": at, "_id": email, "msg": message, "user_agent_parsed": agent}


def make_sparkpost(email: str, type_: str, at: int) -> dict[str, Any]:
    name = {"delivered": "delivery", "prefetch": "open"}.get(type_, type_)
    event = {"type": name, "timestamp": str(at), "rcpt_meta": {"email_id": email}}
    return {
        "msys": {"x_event": {**event, "user_agent_parsed": {"is_prefetched": type_ == "prefetch"}}}
    }


def make_brevo(email: str, type_: str, at: int) -> dict[str, Any]:
    name = {"open": "unique_opened", "prefetch": "proxy_open"}.get(type_, type_)
    return {"event": name, "ts_event": at, "X-Mailin-custom": json.dumps({"email_id": email})}


def prove(provider: str, path: str, items: list[Any]) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers as the provider sends them."""
    text, headers = json.dumps(items), {"Authorization": f"Bearer {SECRET}"}
    if provider == "events":
        now = datetime.now(UTC)
        headers = {"Webhook-Id": "1", "Webhook-Timestamp": str(int(now.timestamp()))}
        headers["Webhook-Signature"] = Webhook(SECRET).sign("1", now, text)
    if provider != "mandrill":
        return text.encode(), headers
    signed = f"{get_settings().url}{path}mandrill_events{text}".encode()
    code = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha1).digest()).decode()
    return urlencode({"mandrill_events": text}).encode(), {"X-Mandrill-Signature": code}


@pytest.mark.parametrize(
    ("provider", "make"),
    [
        ("events", make_normalised),
        ("mandrill", make_mandrill),
        ("sparkpost", make_sparkpost),
        ("brevo", make_brevo),
    ],
)
def test_a_batch_counts_once(real_client: testing.TestClient, provider: str, make: Event) -> None:
    api = Api.in_process(real_client)
    alice = create_university("Alice's University", api)
    charlie = create_university("Charlie's University", api)
    email, other = (one.email(one.fundraiser(), sent_at=None) for one in (alice, charlie))
    alice.call("PUT", f"/v1/webhook-keys/{provider}", {"secret": SECRET})
    times = {"delivered": 1, "prefetch": 2, "open": 20, "click": 30}
    items: list[Any] = [make(email, type_, AT + after) for type_, after in times.items()]
    items += [make(other, "click", AT + 40), None]
    path = f"/v1/webhooks/{provider}/{alice.id}"
    for _ in range(2):
        body, headers = prove(provider, path, items)
        answer = alice.call("POST", path, body=body, headers=headers)
        assert (answer.status, answer.json) == (202, {"accepted": len(items)})
    settle_all()
    found = alice.get(f"/v1/emails/{email}")
    assert (found["opens"], found["clicks"], found["machine_opens"]) == (1, 1, 1)
    assert found["delivered_at"] == "2026-05-28T20:26:41Z"
    assert charlie.get(f"/v1/emails/{other}")["clicks"] == 0


def test_a_wrong_key_stores_nothing(real_client: testing.TestClient) -> None:
    alice = create_university("Alice's University", Api.in_process(real_client))
    for provider in ("events", "mandrill", "sparkpost", "brevo"):
        alice.call("PUT", f"/v1/webhook-keys/{provider}", {"secret": SECRET + SECRET[-4:]})
        path = f"/v1/webhooks/{provider}/{alice.id}"
        body, headers = prove(provider, path, [make_brevo("a", "open", AT)])
        assert alice.call("POST", path, body=body, headers=headers).status == 401


@pytest.mark.parametrize("has_key", [True, False])
@pytest.mark.parametrize("is_shared", [True, False])
def test_mandrills_test_of_a_url_is_accepted_and_not_stored(
    real_client: testing.TestClient, has_key: bool, is_shared: bool
) -> None:
    """Mandrill shows the key only after its test. Anyone can sign this test."""
    alice = create_university("Alice's University", Api.in_process(real_client))
    if has_key:
        alice.call("PUT", "/v1/webhook-keys/mandrill", {"secret": SECRET})
    path = "/v1/webhooks/mandrill" + ("" if is_shared else f"/{alice.id}")
    signed = f"{get_settings().url}{path}mandrill_events[]".encode()
    code = base64.b64encode(hmac.new(b"test-webhook", signed, hashlib.sha1).digest()).decode()
    headers = {"X-Mandrill-Signature": code}
    answer = alice.call("POST", path, body=b"mandrill_events=%5B%5D", headers=headers)
    assert (answer.status, answer.json) == (202, {"accepted": 0})
    assert get_db().deliveries.count_documents({}) == 0
    assert get_db().shared_posts.count_documents({}) == 0
