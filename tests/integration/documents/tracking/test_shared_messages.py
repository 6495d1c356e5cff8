"""Bob's message has a copy to Carol. Amazon SES reports both with the tag of Bob's email."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from falcon import testing

from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.provider_requests import post_signed, set_provider_key
from tools.testbed.settled import settle_all

CAROL = {"name": "Carol", "email": "carol@example.org"}
AT = datetime(2026, 4, 2, 9, tzinfo=UTC).isoformat()
PERMANENT = {"bounceType": "Permanent", "bounceSubType": "General", "feedbackId": "F1"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    set_provider_key(alice, "ses")
    return alice


def report(place: University, type_: str, detail: dict[str, Any], **tags: str) -> None:
    mail = {
        "timestamp": AT,
        "messageId": "message-1",
        "destination": [BOB["email"], CAROL["email"]],
        "tags": {name: [value] for name, value in tags.items()},
    }
    event = {"eventType": type_, "mail": mail, type_.lower(): {"timestamp": AT, **detail}}
    assert post_signed(place, "ses", json.dumps(event).encode()).status == 202
    settle_all()


def bounce(*addresses: str) -> dict[str, Any]:
    bounced = [{"emailAddress": one, "action": "failed"} for one in addresses]
    return {**PERMANENT, "bouncedRecipients": bounced}


def test_a_bounce_counts_for_its_own_recipient(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    settle_all()
    report(alice, "Bounce", bounce(CAROL["email"]), email_id=email)
    assert alice.get(f"/v1/emails/{email}")["bounced_at"] is None
    report(alice, "Bounce", bounce(CAROL["email"], "Bob <BOB@example.edu>"), email_id=email)
    assert alice.get(f"/v1/emails/{email}")["bounced_at"]


def test_the_other_recipients_own_email_gets_the_event(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    to_bob = alice.email(spring, mailing_id=mailing)
    to_carol = alice.email(spring, CAROL, mailing_id=mailing)
    settle_all()
    tags = {"email_id": to_bob, "mailing": mailing}
    report(alice, "Delivery", {"recipients": [CAROL["email"]]}, **tags)
    found = [alice.get(f"/v1/emails/{id_}")["delivered_at"] for id_ in (to_bob, to_carol)]
    assert found[0] is None
    assert found[1]


def test_a_late_event_about_an_erased_person_stays_theirs(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    alice.call("DELETE", f"/v1/users/{user}?erase=true")
    settle_all()
    report(alice, "Bounce", bounce(BOB["email"]), email_id=email)
    assert alice.get(f"/v1/emails/{email}")["bounced_at"]
