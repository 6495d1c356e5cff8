"""Resend's events: Alice sends the spring appeal, and Bob receives it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from documents.errors import Unusable
from documents.providers.report import EVENT_TYPES
from documents.providers.resend import PROVIDER, TYPES, UNCOUNTED_TYPES
from tests.unit.documents.providers.resend_payloads import (
    AGENT,
    CHARLIES,
    CLICK,
    MESSAGE,
    ORGANIZATION,
    Item,
    is_authentic,
    make_item,
    read,
    sign,
)


def test_bob_clicks_the_link() -> None:
    body = json.dumps(make_item("email.clicked", click=CLICK)).encode()
    assert is_authentic(sign(body), body)
    report = read(make_item("email.clicked", click=CLICK))
    assert report.at == datetime(2026, 11, 24, 5, 0, 57, 163000, UTC)
    assert (report.type, report.address, report.email_ref) == ("click", "bob@example.edu", "a" * 24)
    assert (report.url, report.user_agent) == ("https://give.edu/", AGENT)
    assert (report.ip, report.machine) == ("192.0.2.1", False)
    assert report.message_id == MESSAGE
    assert report.category == ("m" * 24, "appeal", "8b146471-e88e-4322-86af-016cd36fd216")
    assert report.provider_event_id is None


@pytest.mark.parametrize(("resend_type", "stored"), TYPES.items())
def test_every_documented_type_is_counted(resend_type: str, stored: str) -> None:
    report = read(make_item(resend_type))
    assert stored in EVENT_TYPES
    assert (report.type, report.at) == (stored, datetime(2026, 11, 22, 23, 41, 12, 126000, UTC))


@pytest.mark.parametrize(
    "resend_type",
    [
        *sorted(UNCOUNTED_TYPES),
        "contact.created",
        "contact.updated",
        "contact.deleted",
        "domain.created",
        "domain.updated",
        "domain.deleted",
        "suppression.added",
        "suppression.removed",
        "inbox.email.received",
    ],
)
def test_events_about_no_sent_message_give_no_report(resend_type: str) -> None:
    assert PROVIDER.read_events(ORGANIZATION, make_item(resend_type)) == ()


def test_unknown_types_are_kept() -> None:
    assert read(make_item("email.teleported")).type == "resend:email.teleported"
    assert read(make_item("teleport.done")).type == "resend:teleport.done"


@pytest.mark.parametrize(
    ("kind", "subtype", "expected"),
    [
        ("Permanent", "General", ("bounce", "Permanent")),
        ("Permanent", "NoEmail", ("bounce", "Permanent")),
        ("Permanent", "Suppressed", ("dropped", None)),
        ("Permanent", "OnAccountSuppressionList", ("dropped", None)),
        ("Transient", "General", ("bounce", "blocked")),
        ("Transient", "MailboxFull", ("bounce", "blocked")),
        ("Transient", "MessageTooLarge", ("bounce", "blocked")),
        ("Transient", "ContentRejected", ("bounce", "blocked")),
        ("Transient", "AttachmentRejected", ("bounce", "blocked")),
        ("Undetermined", "Undetermined", ("bounce", "blocked")),
        (None, None, ("bounce", "Permanent")),
    ],
)
def test_bounces_blocks_and_drops_are_told_apart(
    kind: str | None, subtype: str | None, expected: tuple[str, str | None]
) -> None:
    bounce = {"message": "…", "type": kind, "subType": subtype, "diagnosticCode": ["550 5.1.1"]}
    report = read(make_item("email.bounced", bounce=bounce))
    assert (report.type, report.bounce_type) == expected


@pytest.mark.parametrize(
    "data",
    [
        {"to": ["bob@example.edu", "carol@example.edu"]},
        {"to": []},
        {"to": None},
        {"cc": ["carol@example.edu"]},
        {"bcc": ["carol@example.edu"]},
        {"headers": [{"name": "Cc", "value": "carol@example.edu"}]},
        {"headers": {"Bcc": "carol@example.edu"}},
    ],
)
def test_several_recipients_name_no_single_address(data: Item) -> None:
    report = read(make_item("email.opened", **data))
    assert (report.address, report.email_ref) == ("", "a" * 24)


def test_one_recipient_may_have_a_name() -> None:
    for to in (["Bob Baker <bob@example.edu>"], "bob@example.edu"):
        assert read(make_item("email.opened", to=to)).address == "bob@example.edu"


@pytest.mark.parametrize(
    "data",
    [
        {"tags": {"email_id": "a" * 24, "mailing": "m"}},
        {"tags": [{"name": "email_id", "value": "a" * 24}, {"name": "mailing", "value": "m"}, 1]},
        {
            "tags": None,
            "headers": [
                {"name": "X-Metadata", "value": json.dumps({"email_id": "a" * 24})},
                {"name": "X-Tags", "value": '["m"]'},
            ],
        },
        {
            "tags": [],
            "headers": {"X-Metadata": json.dumps({"email_id": "a" * 24, "mailing": "m"})},
        },
    ],
)
def test_custom_values_are_tags_or_headers(data: Item) -> None:
    report = read(make_item("email.opened", broadcast_id=None, **data))
    assert (report.email_ref, report.category) == ("a" * 24, ("m",))


def test_a_redelivery_is_the_same_event() -> None:
    item = make_item("email.clicked", click=CLICK)
    body = json.dumps(item).encode()
    for age in (timedelta(), timedelta(minutes=4)):  # Svix signs each attempt again
        assert is_authentic(sign(body, age=age), body)
    assert read(item) == read(json.loads(body))


def test_other_facts_and_other_organizations_give_other_events() -> None:
    changes: list[Item] = [
        {},
        {"click": {**CLICK, "timestamp": "2026-11-24T05:00:57.164Z"}},
        {"click": {**CLICK, "link": "https://x.edu/"}},
        {"click": {**CLICK, "userAgent": "other"}},
        {"to": ["carol@example.edu"]},
        {"email_id": "other"},
    ]
    items = [make_item("email.clicked", **{"click": CLICK, **change}) for change in changes]
    items.append(make_item("email.opened", click=CLICK))
    identities = {read(item).identity for item in items} | {read(items[0], CHARLIES).identity}
    assert len(identities) == len(items) + 1


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        {},
        "email.opened",
        {"type": 1},
        {"type": "email.opened"},
        {"type": "email.opened", "created_at": 1},
        {"type": "email.opened", "created_at": "soon"},
        {"type": "email.opened", "created_at": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_an_unreadable_payload_has_a_reason(item: Any) -> None:
    with pytest.raises(Unusable, match=r"."):
        PROVIDER.read_events(ORGANIZATION, item)
