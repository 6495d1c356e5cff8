"""SparkPost: its credentials, and the events of Bob's email."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.providers.provider import WebhookRequest, count_body_items, parse_items
from documents.providers.report import BLOCKED, EVENT_TYPES
from documents.providers.sparkpost import PROVIDER, SPARKPOST_TYPES
from tests.unit.documents.providers.odd_values import (
    ODD_VALUES,
    ORGANIZATION,
    check_odd_requests,
    read_odd,
    read_one,
    read_reason,
    replace_each_field,
)

CREDENTIAL, OTHER_CREDENTIAL = "alice:a-long-secret-of-hers", "charlie:a-long-secret-of-his"
AT = 1_795_863_600
CLICK = {
    "type": "click",
    "campaign_id": "Spring Appeal",
    "customer_id": "1",
    "delv_method": "esmtp",
    "event_id": "92356927693813856",
    "friendly_from": "giving@example.edu",
    "geo_ip": {"country": "US", "city": "Columbia", "latitude": "39.1749"},
    "initial_pixel": True,
    "ip_address": "192.0.2.1",
    "message_id": "000443ee14578172be22",
    "rcpt_meta": {"email_id": "64b7f0a1c2d3e4f5a6b7c8d9", "mailing": "64b7f0a1c2d3e4f5a6b7c8da"},
    "rcpt_tags": ["alumni", "US"],
    "rcpt_to": "bob@example.edu",
    "raw_rcpt_to": "Bob@example.edu",
    "rcpt_type": "to",
    "subaccount_id": "101",
    "target_link_name": "give",
    "target_link_url": "https://give.example.edu/spring",
    "timestamp": str(AT),
    "transmission_id": "65832150921904138",
    "user_agent": "Mozilla/5.0 (Macintosh)",
    "user_agent_parsed": {"agent_family": "Firefox", "is_proxy": False, "is_prefetched": False},
}
CLASSES = {
    "message_event": "injection delivery delay bounce out_of_band policy_rejection spam_complaint",
    "gen_event": "generation_failure generation_rejection",
    "track_event": "open initial_open click amp_open amp_initial_open amp_click",
    "unsubscribe_event": "list_unsubscribe link_unsubscribe",
}


def wrap(event: Any, class_: str = "track_event") -> dict[str, Any]:
    return {"msys": {class_: event}}


def send(headers: dict[str, str]) -> WebhookRequest:
    return WebhookRequest(headers, json.dumps([wrap(CLICK)]).encode())


def test_bobs_click_has_all_its_facts() -> None:
    report = read_one(PROVIDER, wrap(CLICK))
    assert (report.type, report.at) == ("click", datetime.fromtimestamp(AT, UTC))
    assert (report.email_ref, report.address) == ("64b7f0a1c2d3e4f5a6b7c8d9", "Bob@example.edu")
    assert report.category == ("64b7f0a1c2d3e4f5a6b7c8da", "Spring Appeal", "alumni", "US")
    assert (report.url, report.ip) == ("https://give.example.edu/spring", "192.0.2.1")
    assert report.message_id == "000443ee14578172be22"  # a transmission has many recipients
    assert report.provider_event_id == "sparkpost:92356927693813856"
    assert (report.user_agent, report.machine) == ("Mozilla/5.0 (Macintosh)", False)


@pytest.mark.parametrize(
    ("class_", "name"),
    [(class_, name) for class_, all_ in CLASSES.items() for name in all_.split()],
)
def test_each_documented_type_is_stored(class_: str, name: str) -> None:
    report = read_one(PROVIDER, wrap({**CLICK, "type": name}, class_))
    assert report.type == SPARKPOST_TYPES.get(name, "bounce")
    assert report.type in EVENT_TYPES


@pytest.mark.parametrize(
    ("classes", "type_", "blocked"),
    [
        ("10 30", "bounce", False),
        ("1 20 21 22 23 24 40 70", "bounce", True),
        ("50 51 52 53 54", "bounce", True),
        ("25", "dropped", None),
        ("90", "unsubscribe", None),
        ("60", "sparkpost:auto_reply", None),
        ("80", "sparkpost:subscribe", None),
        ("100", "sparkpost:challenge_response", None),
        ("15 x", "bounce", True),
    ],
)
@pytest.mark.parametrize("event_type", ["bounce", "out_of_band"])
def test_each_bounce_class_is_a_bounce_a_block_or_neither(
    classes: str, type_: str, blocked: bool | None, event_type: str
) -> None:
    for class_ in classes.split():
        for value in (class_, int(class_) if class_.isdigit() else class_):
            event = {**CLICK, "type": event_type, "bounce_class": value, "error_code": "550"}
            report = read_one(PROVIDER, wrap(event, "message_event"))
            assert report.type == type_
            assert (report.bounce_type == BLOCKED) is bool(blocked)


def test_a_delay_is_no_bounce() -> None:
    event = {**CLICK, "type": "delay", "bounce_class": "22", "num_retries": "1"}
    assert read_one(PROVIDER, wrap(event, "message_event")).type == "deferred"


def test_a_prefetched_open_is_a_machines_but_a_proxys_is_a_persons() -> None:
    """Apple prefetches every image. Gmail's proxy loads an image when a person opens the email."""
    for is_prefetched in (True, False):
        agent = {"is_proxy": True, "is_prefetched": is_prefetched}
        event = {**CLICK, "type": "open", "user_agent_parsed": agent}
        assert read_one(PROVIDER, wrap(event)).machine is is_prefetched


def test_two_pixels_of_one_second_are_one_open() -> None:
    opens = [
        read_one(PROVIDER, wrap({**CLICK, "type": name, "event_id": name}))
        for name in ("initial_open", "open")
    ]
    assert opens[0].identity == opens[1].identity


def test_only_engagement_has_the_recipients_ip() -> None:
    """In other events, it is the address of the mail server."""
    event = {**CLICK, "type": "delivery"}
    assert read_one(PROVIDER, wrap(event, "message_event")).ip is None


def test_a_new_type_is_kept_as_unknown() -> None:
    event = {**CLICK, "type": "reaction"}
    assert read_one(PROVIDER, wrap(event, "new_event")).type == "sparkpost:reaction"


@pytest.mark.parametrize(
    "item",
    [
        {"msys": {}},
        wrap({"type": "relay_injection", "rcpt_to": "help@example.edu"}, "relay_event"),
        wrap({"content": {"email_rfc822": "…"}}, "relay_message"),
        wrap({"type": "ab_test_completed"}, "ab_test_event"),
        wrap({"type": "success", "batch_id": "b"}, "ingest_event"),
    ],
)
def test_tests_and_received_emails_are_no_events(item: dict[str, Any]) -> None:
    assert list(PROVIDER.read_events(ORGANIZATION, item)) == []


@pytest.mark.parametrize(
    "timestamp", [AT, str(AT), "2026-11-28T11:00:00.000+00:00", "2026-11-28T11:00:00Z"]
)
def test_a_time_has_several_forms(timestamp: Any) -> None:
    report = read_one(PROVIDER, wrap({**CLICK, "timestamp": timestamp}))
    assert report.at == datetime(2026, 11, 28, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "not an object"),
        ({}, "no object `msys`"),
        ({"msys": []}, "no object `msys`"),
        (wrap(None), "an event that is not an object"),
        (wrap({}), "no event type"),
        (wrap({"type": "open"}), "no timestamp"),
        (wrap({"type": "open", "timestamp": "soon"}), "no timestamp"),
        (wrap({"type": "open", "timestamp": "9" * 30}), "a timestamp out of range"),
    ],
)
def test_an_invalid_event_reports_its_reason(item: Any, reason: str) -> None:
    assert read_reason(PROVIDER, item) == reason


def test_a_redelivery_is_the_same_event() -> None:
    again = json.loads(json.dumps(wrap(CLICK)))
    assert read_one(PROVIDER, again) == read_one(PROVIDER, wrap(CLICK))


@pytest.mark.parametrize(
    "change", [{"type": "open"}, {"message_id": "n"}, {"timestamp": AT + 1}, {"rcpt_meta": {}}]
)
def test_another_fact_makes_another_event(change: dict[str, Any]) -> None:
    changed = read_one(PROVIDER, wrap({**CLICK, **change}))
    assert changed.identity != read_one(PROVIDER, wrap(CLICK)).identity


def test_a_post_is_an_array() -> None:
    body = PROVIDER.unwrap(json.dumps([wrap(CLICK), {"msys": {}}]).encode())
    assert (len(parse_items(body)), count_body_items(body)) == (2, 2)


def test_only_alices_credential_is_accepted() -> None:
    def encode(text: str) -> str:
        return "Basic " + base64.b64encode(text.encode()).decode()

    is_authentic = PROVIDER.scheme.is_authentic
    assert is_authentic(CREDENTIAL, send({"AUTHORIZATION": encode(CREDENTIAL)}))
    assert is_authentic(CREDENTIAL, send({"AUTHORIZATION": f"Bearer {CREDENTIAL}"}))
    assert is_authentic(CREDENTIAL, send({"X-MESSAGESYSTEMS-WEBHOOK-TOKEN": CREDENTIAL}))
    for sent in (OTHER_CREDENTIAL, CREDENTIAL[:-1], "", "alice:"):
        assert not is_authentic(CREDENTIAL, send({"AUTHORIZATION": encode(sent)}))
        assert not is_authentic(CREDENTIAL, send({"AUTHORIZATION": f"Bearer {sent}"}))
        assert not is_authentic(CREDENTIAL, send({"X-MESSAGESYSTEMS-WEBHOOK-TOKEN": sent}))
    assert not is_authentic("", send({}))
    check_odd_requests(PROVIDER, CREDENTIAL)


@pytest.mark.parametrize("text", ["", "short", "alice:short", "é" * 20, "with a space in the text"])
def test_other_keys_are_rejected(text: str) -> None:
    with pytest.raises(Unusable, match=r"^Must "):
        PROVIDER.scheme.check(text)


def test_a_credential_is_accepted() -> None:
    PROVIDER.scheme.check(CREDENTIAL)


@given(ODD_VALUES | st.dictionaries(st.just("msys"), ODD_VALUES))
@settings(max_examples=50, deadline=None)
def test_odd_values_raise_only_a_reason(item: Any) -> None:
    read_odd(PROVIDER, item)


def test_odd_values_in_each_field_raise_only_a_reason() -> None:
    for event in replace_each_field({**CLICK, "type": "bounce", "bounce_class": "10"}):
        read_odd(PROVIDER, wrap(event))
