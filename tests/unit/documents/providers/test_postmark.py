"""Postmark's events and credentials."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from documents.errors import Unusable
from documents.providers.postmark import PROVIDER
from documents.providers.provider import WebhookRequest
from tests.unit.documents.providers.postmark_payloads import (
    AGENT,
    BOUNCE,
    CHARLIES,
    CLICK,
    COMPLAINT,
    DELIVERY,
    MESSAGE,
    OPEN,
    ORGANIZATION,
    REACTIVATION,
    SUPPRESSION,
    Item,
    read,
)

PASSWORD = "0b5f7c9e24a1d386"


def is_authentic(key: str, **headers: str) -> bool:
    """Return whether Matchback accepts a request with these headers."""
    named = {name.upper().replace("_", "-"): value for name, value in headers.items()}
    return PROVIDER.scheme.is_authentic(key, WebhookRequest(named, json.dumps(OPEN).encode()))


def test_bob_clicks_the_link() -> None:
    report = read(CLICK)
    assert report.at == datetime(2026, 4, 5, 16, 33, 54, 907000, UTC)
    assert (report.type, report.address, report.email_ref) == ("click", "bob@example.edu", "a" * 24)
    assert (report.url, report.user_agent) == ("https://give.edu/", AGENT)
    assert (report.ip, report.machine, report.bounce_type) == ("192.0.2.1", False, None)
    assert (report.message_id, report.category) == (MESSAGE, ("m" * 24, "spring"))
    assert report.provider_event_id is None


@pytest.mark.parametrize(
    ("item", "stored"),
    [
        (DELIVERY, "delivered"),
        (OPEN, "open"),
        (CLICK, "click"),
        (BOUNCE, "bounce"),
        (COMPLAINT, "spamreport"),
        (SUPPRESSION, "unsubscribe"),
        (REACTIVATION, "resubscribe"),
    ],
)
def test_every_documented_record_is_counted(item: Item, stored: str) -> None:
    report = read(item)
    assert report.type == stored
    assert report.at == datetime(2026, 4, 5, 16, 33, 54, 907000, UTC)
    assert report.address == "bob@example.edu"
    without_type = {name: value for name, value in item.items() if name != "RecordType"}
    assert read(without_type).type == stored


def test_unknown_types_are_kept() -> None:
    assert read({**OPEN, "RecordType": "Teleport"}).type == "postmark:Teleport"
    assert read({**BOUNCE, "Type": "Lost"}).type == "postmark:Bounce/Lost"
    lost = {**SUPPRESSION, "SuppressionReason": "Lost"}
    assert read(lost).type == "postmark:Suppression/Lost"
    nameless = read({**BOUNCE, "Type": None, "TypeCode": None})
    assert (nameless.type, nameless.bounce_type) == ("bounce", "blocked")


def test_incoming_messages_give_no_report() -> None:
    for item in ({"RecordType": "Inbound"}, {"FromFull": {"Email": "bob@example.edu"}}):
        assert PROVIDER.read_events(ORGANIZATION, item) == ()


def test_apples_proxy_opens_by_machine() -> None:
    assert read({**OPEN, "UserAgent": "Mozilla/5.0"}).machine is True
    assert read({**CLICK, "UserAgent": "Mozilla/5.0"}).machine is False
    assert read(OPEN).machine is False


def test_a_redelivery_is_the_same_event() -> None:
    assert read(BOUNCE) == read(dict(reversed(BOUNCE.items())))
    assert read(BOUNCE).provider_event_id == f"postmark:Bounce:{MESSAGE}:4323372036854775807"


def test_a_complaint_in_both_webhooks_is_one_event() -> None:
    twin = {**COMPLAINT, "RecordType": "Bounce"}
    assert read(COMPLAINT).identity == read(twin).identity


def test_other_facts_and_other_organizations_give_other_events() -> None:
    changes: list[Item] = [
        {},
        {"ReceivedAt": "2026-04-05T16:33:55Z"},
        {"Recipient": "carol@example.edu"},
        {"OriginalLink": "https://x.edu/"},
        {"MessageID": "other"},
        {"UserAgent": "other"},
        {"RecordType": "Open"},
    ]
    identities = {read({**CLICK, **change}).identity for change in changes}
    identities.add(read(CLICK, CHARLIES).identity)
    assert len(identities) == len(changes) + 1


def test_custom_values_may_be_absent() -> None:
    values: list[Any] = [None, {}, [], ""]
    for empty in values:
        report = read({**OPEN, "Metadata": empty, "Tag": empty})
        assert (report.email_ref, report.category) == (None, ())


def test_postmarks_credentials_are_accepted() -> None:
    pair = f"matchback:{PASSWORD}"
    basic = "Basic " + base64.b64encode(pair.encode()).decode()
    for key in (PASSWORD, pair):
        PROVIDER.scheme.check(key)
        assert is_authentic(key, authorization=basic)
    assert is_authentic(PASSWORD, x_webhook_secret=PASSWORD)
    for headers in ({}, {"authorization": basic[:-4]}, {"x_webhook_secret": PASSWORD[:-1]}):
        assert not is_authentic(PASSWORD, **headers)
    assert not is_authentic("f" * 16, authorization=basic)
    with pytest.raises(Unusable, match="at least 8"):
        PROVIDER.scheme.check("matchback:short")


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        {},
        "Open",
        {"RecordType": 1},
        {"RecordType": "Open"},
        {"RecordType": "Open", "ReceivedAt": 1},
        {"RecordType": "Open", "ReceivedAt": "soon"},
        {"RecordType": "Open", "ReceivedAt": "0001-01-01T00:00:00+14:00"},
        {**SUPPRESSION, "SuppressSending": None},
        {**SUPPRESSION, "SuppressSending": "true"},
    ],
)
def test_an_unreadable_payload_has_a_reason(item: Any) -> None:
    with pytest.raises(Unusable, match=r"."):
        PROVIDER.read_events(ORGANIZATION, item)
