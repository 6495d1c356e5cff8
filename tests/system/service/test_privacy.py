"""Logs and problem documents contain no name and no secret, in success and in failure."""

import base64
import json
import time
from pathlib import Path
from typing import Any

from mongoengine import get_db

from config.observability.log import RedactingFormatter
from tools.testbed.cast import ApiAnswer, University, create_university, make_event, sign_webhook
from tools.testbed.stack import Stack, wait_until

NAME, ADDRESS = "Zebulon Quagmire", "zebulon.quagmire@secret.example"
SECRET = "whsec_" + base64.b64encode(b"quagmire's secret, 32 bytes long").decode()
PERSON = {"name": NAME, "email": ADDRESS}
TOLD = (NAME, "Zebulon", "Quagmire", "zebulon", "secret.example", SECRET, SECRET[6:])


def everything(alice: University) -> list[ApiAnswer]:
    """Use the service correctly and incorrectly, always with private data. Return its problems."""
    alice.set_webhook_key()
    alice.call("PUT", "/v1/webhook-keys/stripe", {"secret": SECRET})
    spring = alice.fundraiser(NAME)
    email = alice.email(spring, PERSON, mailing_id=alice.mailing(spring, subject=NAME))
    alice.gift(spring, 2500, PERSON, external_id=f"{ADDRESS}-1")
    now = int(time.time())
    alice.deliver(
        [make_event(email, "click", now, url=f"https://x.example/{ADDRESS}") | {"email": ADDRESS}]
    )
    alice.deliver([{"event": NAME, "email": ADDRESS}, {"email": 5}, [ADDRESS]])
    gift = {"fundraiser_id": spring, "amount": 1, "currency": "USD", "donor": PERSON}
    odd: list[tuple[str, str, Any]] = [
        ("POST", "/v1/users", PERSON),  # a second time
        ("POST", "/v1/users", PERSON | {"nickname": NAME}),
        ("POST", "/v1/users", {"name": NAME, "email": f"{NAME}@"}),
        ("POST", "/v1/users", {"name": NAME + "\x00", "email": ADDRESS}),
        ("POST", "/v1/donations", gift | {"currency": NAME}),
        ("POST", "/v1/donations", gift | {"amount": ADDRESS}),
        ("POST", "/v1/donations", gift | {"donated_at": NAME}),
        ("POST", "/v1/donations", gift | {"fundraiser_id": ADDRESS}),
        ("PUT", "/v1/webhook-keys/payments", {"secret": SECRET + "!"}),
        ("PUT", "/v1/webhook-keys/sendgrid", {"public_key": NAME}),
        ("GET", f"/v1/users?email={ADDRESS}&email={ADDRESS}", None),
        ("GET", f"/v1/users?{ADDRESS}=1", None),
        ("GET", f"/v1/users?cursor={ADDRESS}", None),
        ("GET", f"/v1/users/{ADDRESS}", None),
        ("GET", f"/{ADDRESS}", None),
        ("GET", f"/v1/users?api_key={alice.key}", None),
        ("PATCH", "/v1/organization", {"time_zone": NAME}),
        ("POST", f"/v1/webhooks/stripe/{ADDRESS}", {"email": ADDRESS}),
    ]
    answers = [alice.call(verb, path, body) for verb, path, body in odd]
    answers += [
        alice.call("POST", "/v1/users", body=f'{{"name": "{NAME}", {ADDRESS}}}'.encode()),
        alice.call("POST", "/v1/users", PERSON, headers={"Idempotency-Key": f"{NAME} x"}),
        alice.api.call("GET", "/v1/users", headers={"Authorization": f"Bearer mb_{SECRET}"}),
    ]
    body = json.dumps({"id": ADDRESS}).encode()
    answers.append(
        alice.api.call(
            "POST",
            f"/v1/webhooks/sendgrid/{alice.id}",
            body=body + b" ",
            headers=sign_webhook(alice.signing_key, body) | {"X-Request-Id": f"{NAME} x"},
        )
    )
    return answers


def found(text: str, alice: University) -> list[str]:
    return [told for told in (*TOLD, alice.key, alice.key[3:]) if told in text]


def test_logs_and_problems_reveal_nothing(stack: Stack) -> None:
    alice = create_university("Alice's University", stack.api())
    for answer in everything(alice):
        assert 400 <= answer.status < 500, answer.content
        assert found(answer.content.decode(), alice) == []
    # A record that cannot be settled makes the worker log an error.
    get_db().donations.update_one(
        {}, {"$set": {"amount": NAME, "due": get_db().users.find_one()["created_at"]}}
    )
    get_db().deliveries.update_one({}, {"$set": {"body": ADDRESS.encode()}})
    wait_until(lambda: "cannot be settled" in stack.log("worker"), "the worker's error")
    data = Path(stack.servers.supervisor.parts[0].log)
    logs = {
        "web": stack.log("web"),
        "worker": stack.log("worker"),
        "MongoDB": data.read_text(errors="replace"),
    }
    assert logs["worker"]
    assert logs["MongoDB"]
    for name, text in logs.items():
        assert found(text, alice) == [], name


def test_the_audit_and_the_metrics_reveal_nothing(stack: Stack) -> None:
    alice = create_university("Alice's University", stack.api())
    everything(alice)
    audit = alice.call("GET", "/v1/audit").content.decode()
    metrics = alice.api.call("GET", "/metrics").content.decode()
    assert found(audit + metrics, alice) == []


def test_redaction_covers_messages_of_libraries() -> None:
    import logging

    line = logging.LogRecord(
        "x", logging.ERROR, "", 0, f"E11000 {{ address: '{ADDRESS}' }}", (), None
    )
    assert "zebulon" not in RedactingFormatter().format(line)
