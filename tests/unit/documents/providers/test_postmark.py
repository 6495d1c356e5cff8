"""Postmark's webhooks: Alice sends the spring appeal, and Bob receives it."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.providers.postmark import PROVIDER
from documents.providers.postmark_types import BOUNCE_TYPE_CODES, BOUNCE_TYPES
from documents.providers.provider import WebhookRequest, parse_items
from documents.providers.report import EVENT_TYPES, EventReport

ORGANIZATION, CHARLIES = b"o" * 12, b"p" * 12
PASSWORD = "0b5f7c9e24a1d386"
MESSAGE = "883953f4-6105-42a2-a16a-77a8eac79483"
AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) Safari/605.1.15"
Item = dict[str, Any]

COMMON = {
    "MessageStream": "outbound",
    "ServerID": 23,
    "MessageID": MESSAGE,
    "Tag": "spring",
    "Metadata": {"email_id": "a" * 24, "mailing": "m" * 24},
}
CLIENT = {
    "Client": {"Name": "Safari 17", "Company": "Apple", "Family": "Safari"},
    "OS": {"Name": "macOS", "Company": "Apple", "Family": "macOS"},
    "Platform": "Desktop",
    "UserAgent": AGENT,
    "Geo": {"Country": "Serbia", "City": "Novi Sad", "IP": "192.0.2.1"},
    "ReceivedAt": "2026-04-05T16:33:54.9070259Z",
    "Recipient": "bob@example.edu",
}
DELIVERY = {
    **COMMON,
    "RecordType": "Delivery",
    "Recipient": "bob@example.edu",
    "DeliveredAt": "2026-04-05T12:33:54.9070259-04:00",
    "Details": "250 OK",
}
OPEN = {**COMMON, **CLIENT, "RecordType": "Open", "FirstOpen": True, "ReadSeconds": 5}
CLICK = {
    **COMMON,
    **CLIENT,
    "RecordType": "Click",
    "ClickLocation": "HTML",
    "OriginalLink": "https://give.edu/",
}
BOUNCE = {
    **COMMON,
    "RecordType": "Bounce",
    "ID": 4323372036854775807,
    "Type": "HardBounce",
    "TypeCode": 1,
    "Name": "Hard bounce",
    "Details": "smtp;550 5.1.1",
    "Email": "bob@example.edu",
    "From": "giving@example.edu",
    "BouncedAt": "2026-04-05T16:33:54.9070259Z",
    "Inactive": True,
}
COMPLAINT = {**BOUNCE, "RecordType": "SpamComplaint", "Type": "SpamComplaint", "TypeCode": 100001}
SUPPRESSION = {
    **COMMON,
    "RecordType": "SubscriptionChange",
    "ChangedAt": "2026-04-05T16:33:54.907025Z",
    "Recipient": "bob@example.edu",
    "Origin": "Recipient",
    "SuppressSending": True,
    "SuppressionReason": "ManualSuppression",
}
REACTIVATION = {
    **SUPPRESSION,
    "MessageID": None,
    "Origin": "Customer",
    "SuppressSending": False,
    "SuppressionReason": None,
    "Tag": None,
    "Metadata": {},
}


def read(item: Any, organization: bytes = ORGANIZATION) -> EventReport:
    """Return the only report of a payload, as Matchback reads it after it was stored."""
    (stored,) = parse_items(PROVIDER.unwrap(json.dumps(item).encode()))
    (report,) = PROVIDER.read_events(organization, stored)
    return report


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


EXPECTED_BOUNCES = {
    "HardBounce": ("bounce", "HardBounce"),
    "BadEmailAddress": ("bounce", "BadEmailAddress"),
    "SoftBounce": ("bounce", "blocked"),
    "Blocked": ("bounce", "blocked"),
    "DMARCPolicy": ("bounce", "blocked"),
    "SpamNotification": ("bounce", "blocked"),
    "VirusNotification": ("bounce", "blocked"),
    "ChallengeVerification": ("bounce", "blocked"),
    "Unknown": ("bounce", "blocked"),
    "Transient": ("deferred", None),
    "DnsError": ("deferred", None),
    "SMTPApiError": ("dropped", None),
    "TemplateRenderingFailed": ("dropped", None),
    "ManuallyDeactivated": ("dropped", None),
    "Unconfirmed": ("dropped", None),
    "SpamComplaint": ("spamreport", None),
    "Unsubscribe": ("unsubscribe", None),
    "Subscribe": ("resubscribe", None),
    "AutoResponder": None,
    "AddressChange": None,
    "OpenRelayTest": None,
    "InboundError": None,
}


@pytest.mark.parametrize(("code", "name"), BOUNCE_TYPE_CODES.items())
def test_every_documented_bounce_type_is_told_apart(code: int, name: str) -> None:
    for facts in ({"Type": name, "TypeCode": code}, {"Type": None, "TypeCode": code}):
        reports = PROVIDER.read_events(ORGANIZATION, {**BOUNCE, **facts})
        found = [(report.type, report.bounce_type) for report in reports]
        assert found == [one for one in [EXPECTED_BOUNCES[name]] if one]


def test_each_stored_type_exists() -> None:
    assert set(BOUNCE_TYPES.values()) <= EVENT_TYPES
    assert set(EXPECTED_BOUNCES) == set(BOUNCE_TYPE_CODES.values())


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


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("HardBounce", ("bounce", "HardBounce")),
        ("SpamComplaint", ("spamreport", None)),
        ("ManualSuppression", ("unsubscribe", None)),
        (None, ("unsubscribe", None)),
    ],
)
def test_a_suppression_has_the_type_of_its_reason(
    reason: str | None, expected: tuple[str, str | None]
) -> None:
    report = read({**SUPPRESSION, "SuppressionReason": reason})
    assert (report.type, report.bounce_type) == expected


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
    with pytest.raises(Unusable, match="at least 16"):
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


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted({*CLICK, *BOUNCE, *SUPPRESSION})), VALUES)
@settings(max_examples=100)
def test_no_value_raises_another_error(name: str, value: Any) -> None:
    for item in (value, *({**one, name: value} for one in (CLICK, BOUNCE, SUPPRESSION))):
        try:
            for report in PROVIDER.read_events(ORGANIZATION, item):
                f"{report.address}{report.email_ref}{report.category}{report.type}".encode()
        except Unusable:
            pass


def test_lone_surrogates_and_huge_values_are_storable() -> None:
    big = "\ud800" * 100_000
    item = {
        **BOUNCE,
        "ID": 10**5000,
        "TypeCode": 10**5000,
        "Type": big,
        "Email": big + "@x.edu",
        "Tag": big,
        "Metadata": {"email_id": big, "mailing": [big] * 1000},
    }
    (report,) = PROVIDER.read_events(ORGANIZATION, item)
    assert len(f"{report.type}{report.email_ref}{report.category}".encode()) < 20_000
