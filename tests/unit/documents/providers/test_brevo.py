"""Brevo: its credentials, and transactional and marketing events of Bob's email."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.providers.brevo import PROVIDER
from documents.providers.provider import WebhookRequest, count_body_items, parse_items
from documents.providers.report import BLOCKED, EVENT_TYPES
from tests.unit.documents.providers.odd_values import (
    ODD_VALUES,
    ORGANIZATION,
    check_odd_requests,
    read_odd,
    read_one,
    read_reason,
    replace_each_field,
)

SECRET, OTHER_SECRET = "a-long-secret-of-alice", "a-long-secret-of-charlie"
EMAIL_ID = "64b7f0a1c2d3e4f5a6b7c8d9"
SECONDS = 1_795_863_600
AT = datetime.fromtimestamp(SECONDS, UTC)
CLICK = {
    "event": "click",
    "email": "bob@example.edu",
    "id": 1_636_105,
    "date": "2026-11-28 08:00:00",
    "ts": SECONDS,
    "message-id": "<202611281050.17350695709@smtp-relay.mailin.fr>",
    "ts_event": SECONDS,
    "subject": "It is Spring Giving Day",
    "X-Mailin-custom": json.dumps({"email_id": EMAIL_ID, "mailing": "Spring Appeal"}),
    "sending_ip": "203.0.113.9",
    "template_id": 22,
    "tag": '["spring","alumni"]',
    "tags": ["spring", "alumni"],
    "user_agent": "Mozilla/5.0 (Macintosh)",
    "device_used": "DESKTOP",
    "mirror_link": "https://app-smtp.brevo.com/log/preview/1a2000f4",
    "contact_id": 8,
    "ts_epoch": SECONDS * 1000 + 321,
    "link": "https://give.example.edu/spring",
}
MARKETING_CLICK = {
    "id": 948_562,
    "camp_id": 7,
    "email": "bob@example.edu",
    "campaign name": "Spring Appeal",
    "date_sent": "2026-11-28 07:00:00",
    "date_event": "2026-11-28 08:00:00",
    "event": "click",
    "tag": "",
    "ts_sent": SECONDS - 3600,
    "ts_event": SECONDS,
    "ts": SECONDS + 3600,
    "URL": "https://give.example.edu/spring",
}
NAMES = {
    "processed": "request sent",
    "deferred": "deferred",
    "delivered": "delivered",
    "bounce": "hard_bounce hardBounce soft_bounce softBounce invalid_email invalid",
    "dropped": "blocked error",
    "open": "opened unique_opened uniqueOpened proxy_open unique_proxy_open uniqueProxyOpen",
    "click": "click clicked",
    "spamreport": "spam complaint",
    "unsubscribe": "unsubscribed unsubscribe",
}


def test_bobs_click_has_all_its_facts() -> None:
    report = read_one(PROVIDER, CLICK)
    assert (report.type, report.at) == ("click", AT)
    assert (report.email_ref, report.address) == (EMAIL_ID, "bob@example.edu")
    assert report.message_id == "<202611281050.17350695709@smtp-relay.mailin.fr>"
    assert report.category == ("Spring Appeal", "spring", "alumni")
    assert (report.url, report.user_agent) == (
        "https://give.example.edu/spring",
        "Mozilla/5.0 (Macintosh)",
    )
    assert report.ip is None  # `sending_ip` can be Brevo's own
    assert report.provider_event_id is None  # `id` is the webhook's


@pytest.mark.parametrize(
    ("stored", "name"), [(stored, name) for stored, all_ in NAMES.items() for name in all_.split()]
)
def test_each_spelling_of_each_type_is_stored(stored: str, name: str) -> None:
    report = read_one(PROVIDER, {**CLICK, "event": name})
    assert report.type == stored
    assert stored in EVENT_TYPES
    assert report.machine is ("proxy" in name.lower())
    assert report.bounce_type == (BLOCKED if name.startswith("soft") else None)


def test_a_campaigns_click_is_tied_by_its_address_and_name() -> None:
    report = read_one(PROVIDER, MARKETING_CLICK)
    assert (report.type, report.at, report.address) == ("click", AT, "bob@example.edu")
    assert (report.email_ref, report.message_id) == (None, None)
    assert report.category == ("Spring Appeal",)
    assert report.url == "https://give.example.edu/spring"


def test_a_new_type_is_kept_as_unknown() -> None:
    assert read_one(PROVIDER, {**CLICK, "event": "print_out"}).type == "brevo:print_out"


@pytest.mark.parametrize(
    "name",
    "list_addition listAddition contact_updated contactDeleted inboundEmailProcessed reply".split(),
)
def test_changes_of_contacts_are_no_events(name: str) -> None:
    assert PROVIDER.read_events(ORGANIZATION, {"event": name, "email": ["b@x.edu"]}) == ()


def test_two_reports_of_the_first_open_are_one_open() -> None:
    first = read_one(PROVIDER, {**CLICK, "event": "unique_opened"})
    both = read_one(PROVIDER, {**CLICK, "event": "opened", "ts_epoch": SECONDS * 1000 + 998})
    later = read_one(PROVIDER, {**CLICK, "event": "opened", "ts_epoch": SECONDS * 1000 + 7000})
    assert first.identity == both.identity
    assert first.identity != later.identity


@pytest.mark.parametrize(
    "times",
    [
        {"ts_epoch": SECONDS * 1000, "ts_event": SECONDS - 9 * 3600, "ts": SECONDS - 9 * 3600},
        {"ts_epoch": SECONDS},
        {"ts_epoch": str(SECONDS * 1000)},
        {"s_epoch": SECONDS * 1000},
        {"ts_epoch": None, "ts_event": SECONDS, "ts": SECONDS + 3600},
        {"ts_epoch": 0, "ts": SECONDS},
    ],
)
def test_the_time_is_the_one_in_utc(times: dict[str, Any]) -> None:
    assert read_one(PROVIDER, {"event": "opened", "email": "b@x.edu", **times}).at == AT


@pytest.mark.parametrize(
    ("custom", "email_ref", "mailing"),
    [
        (json.dumps({"email_id": EMAIL_ID, "mailing": "Spring"}), EMAIL_ID, ("Spring",)),
        (f"email_id:{EMAIL_ID}|mailing:Spring", EMAIL_ID, ("Spring",)),
        (f"mailing: Spring | email_id: {EMAIL_ID} ", EMAIL_ID, ("Spring",)),
        (EMAIL_ID, EMAIL_ID, ()),
        ({"email_id": EMAIL_ID}, EMAIL_ID, ()),
        ('{"email_id":', None, ()),
        ("other:value", None, ()),
        ("", None, ()),
        ("{" * 20_000, None, ()),
        (None, None, ()),
    ],
)
def test_custom_values_have_several_forms(
    custom: Any, email_ref: str | None, mailing: tuple[str, ...]
) -> None:
    report = read_one(PROVIDER, {**CLICK, "X-Mailin-custom": custom, "tag": None, "tags": None})
    assert (report.email_ref, report.category) == (email_ref, mailing)


def test_the_custom_header_may_have_another_case() -> None:
    event = {**CLICK, "X-Mailin-custom": None, "X-Mailin-Custom": EMAIL_ID}
    assert read_one(PROVIDER, event).email_ref == EMAIL_ID


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"tags": ["a", "b"], "tag": "c"}, ("a", "b")),
        ({"tags": None, "tag": '["a","b"]'}, ("a", "b")),
        ({"tags": [], "tag": "spring"}, ("spring",)),
        ({"tags": None, "tag": ["a"]}, ("a",)),
        ({"tags": None, "tag": "[a"}, ()),
    ],
)
def test_tags_have_several_forms(tags: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert read_one(PROVIDER, {**CLICK, "X-Mailin-custom": "", **tags}).category == expected


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "not an object"),
        ([], "not an object"),
        ({}, "no event type"),
        ({"msg_status": "delivered"}, "no event type"),
        ({"event": "opened", "date": "2026-11-28 08:00:00"}, "no timestamp"),
        ({"event": "opened", "ts_epoch": float("nan")}, "a timestamp out of range"),
        ({"event": "opened", "ts_epoch": float("inf")}, "a timestamp out of range"),
        ({"event": "opened", "ts_epoch": 10**40}, "a timestamp out of range"),
    ],
)
def test_an_invalid_event_reports_its_reason(item: Any, reason: str) -> None:
    assert read_reason(PROVIDER, item) == reason


def test_a_redelivery_is_the_same_event() -> None:
    again = json.loads(json.dumps({**CLICK, "id": 5}))
    assert read_one(PROVIDER, again) == read_one(PROVIDER, CLICK)


@pytest.mark.parametrize(
    "change",
    [{"event": "opened"}, {"message-id": "n"}, {"ts_epoch": SECONDS + 1}, {"link": "x"}],
)
def test_another_fact_makes_another_event(change: dict[str, Any]) -> None:
    changed = read_one(PROVIDER, {**CLICK, **change})
    assert changed.identity != read_one(PROVIDER, CLICK).identity


@pytest.mark.parametrize(("posted", "count"), [(CLICK, 1), ([CLICK, MARKETING_CLICK], 2), ([], 0)])
def test_a_post_is_one_event_or_a_batch(posted: Any, count: int) -> None:
    body = PROVIDER.unwrap(json.dumps(posted).encode())
    assert len(parse_items(body)) == count_body_items(body) == count


def test_only_alices_secret_is_accepted() -> None:
    basic = "Basic " + base64.b64encode(f"alice:{SECRET}".encode()).decode()
    is_authentic = PROVIDER.scheme.is_authentic
    for headers in (
        {"AUTHORIZATION": f"Bearer {SECRET}"},
        {"AUTHORIZATION": basic},
        {"X-WEBHOOK-SECRET": SECRET},
    ):
        assert is_authentic(SECRET, WebhookRequest(headers, b"{}"))
        assert not is_authentic(OTHER_SECRET, WebhookRequest(headers, b"{}"))
        cut = {name: value[:-1] for name, value in headers.items()}
        assert not is_authentic(SECRET, WebhookRequest(cut, b"{}"))
    check_odd_requests(PROVIDER, SECRET)


@pytest.mark.parametrize("text", ["", "short", "é" * 20, "with a space in the text"])
def test_other_keys_are_rejected(text: str) -> None:
    with pytest.raises(Unusable, match=r"^Must "):
        PROVIDER.scheme.check(text)


@given(ODD_VALUES | st.fixed_dictionaries({"event": ODD_VALUES, "ts": ODD_VALUES}))
@settings(max_examples=50, deadline=None)
def test_odd_values_raise_only_a_reason(item: Any) -> None:
    read_odd(PROVIDER, item)


def test_odd_values_in_each_field_raise_only_a_reason() -> None:
    for item in (CLICK, MARKETING_CLICK):
        for changed in replace_each_field(item):
            read_odd(PROVIDER, changed)
            read_odd(PROVIDER, {**changed, "event": "opened", "tags": None})


def test_a_person_opens_in_the_second_of_a_proxy() -> None:
    common = {"email": "bob@example.edu", "ts_event": 1_775_120_400, "message-id": "<m>"}
    proxy, person = (
        PROVIDER.read_events(b"o" * 12, {**common, "event": name})[0]
        for name in ("unique_proxy_open", "opened")
    )
    assert (proxy.machine, person.machine) == (True, False)
    assert proxy.identity != person.identity
