"""Normalised events: Alice's own program sends the events of Bob's email."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from documents.errors import Unusable
from documents.providers.events import NORMALISED_TYPES, PROVIDER
from documents.providers.provider import WebhookRequest, count_body_items, parse_items
from documents.providers.report import BLOCKED, EVENT_TYPES
from tests.unit.documents.providers.odd_values import (
    ODD_VALUES,
    check_odd_requests,
    read_odd,
    read_one,
    read_reason,
    replace_each_field,
)

SECRET = "whsec_" + base64.b64encode(b"alices secret of 26 bytes").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"charlies secret: 26 bytes").decode()
CLICK = {
    "type": "clicked",
    "email_id": "64b7f0a1c2d3e4f5a6b7c8d9",
    "at": "2026-11-28T10:00:00.250Z",
    "event_id": "evt-1",
    "message_id": "msg-1",
    "address": "bob@example.edu",
    "mailing": "Spring Appeal",
    "url": "https://give.example.edu/spring",
    "user_agent": "Mozilla/5.0",
    "ip": "192.0.2.1",
    "machine": False,
}


def sign(body: bytes, secret: str = SECRET) -> WebhookRequest:
    at = datetime.now(UTC)
    headers = {
        "WEBHOOK-ID": "post-1",
        "WEBHOOK-TIMESTAMP": str(int(at.timestamp())),
        "WEBHOOK-SIGNATURE": Webhook(secret).sign("post-1", at, body.decode()),
    }
    return WebhookRequest(headers, body)


def test_bobs_click_has_all_its_facts() -> None:
    report = read_one(PROVIDER, CLICK)
    assert (report.type, report.at) == ("click", datetime(2026, 11, 28, 10, 0, 0, 250_000, UTC))
    assert (report.email_ref, report.message_id) == ("64b7f0a1c2d3e4f5a6b7c8d9", "msg-1")
    assert (report.address, report.category) == ("bob@example.edu", ("Spring Appeal",))
    assert (report.url, report.user_agent) == ("https://give.example.edu/spring", "Mozilla/5.0")
    assert (report.ip, report.machine) == ("192.0.2.1", False)
    assert report.provider_event_id == "events:evt-1"


@pytest.mark.parametrize(("name", "stored"), NORMALISED_TYPES.items())
def test_each_type_is_stored(name: str, stored: str) -> None:
    report = read_one(PROVIDER, {**CLICK, "type": name})
    assert report.type == stored
    assert report.type in EVENT_TYPES
    assert report.bounce_type == (BLOCKED if name == "blocked" else None)


@pytest.mark.parametrize("name", ["opend", "bounce", "Clicked", "listed"])
def test_other_types_are_kept_as_unknown(name: str) -> None:
    assert read_one(PROVIDER, {**CLICK, "type": name}).type == f"events:{name}"


@pytest.mark.parametrize("name", ["email_id", "message_id", "address"])
def test_one_of_three_names_the_email(name: str) -> None:
    read_one(PROVIDER, {"type": "opened", "at": CLICK["at"], name: CLICK[name]})


def test_a_machine_is_told_apart() -> None:
    assert read_one(PROVIDER, {**CLICK, "type": "opened", "machine": True}).machine


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-28T10:00:00Z", datetime(2026, 11, 28, 10, tzinfo=UTC)),
        ("2026-11-28T12:30:00+02:30", datetime(2026, 11, 28, 10, tzinfo=UTC)),
        ("2026-11-28 10:00:00z", datetime(2026, 11, 28, 10, tzinfo=UTC)),
        ("2026-11-28t10:00:00.123456789Z", datetime(2026, 11, 28, 10, 0, 0, 123_000, UTC)),
    ],
)
def test_times_have_an_offset(at: str, expected: datetime) -> None:
    assert read_one(PROVIDER, {**CLICK, "at": at}).at == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": None}, "no `type`"),
        ({"type": 7}, "`type` is not a text"),
        ({"at": None}, "no `at`"),
        ({"at": 1_795_000_000}, "`at` is not an RFC 3339 time with an offset"),
        ({"at": "2026-11-28T10:00:00"}, "`at` is not an RFC 3339 time with an offset"),
        ({"at": "2026-11-28"}, "`at` is not an RFC 3339 time with an offset"),
        ({"at": "2026-11-31T10:00:00Z"}, "`at` is a timestamp that is not in ISO 8601"),
        ({"at": "1970-01-01T00:00:00Z"}, "`at` is a timestamp out of range"),
        ({"at": "9999-12-31T23:59:59-12:00"}, "`at` is a timestamp out of range"),
        ({"url": ["https://x.edu"]}, "`url` is not a text"),
        ({"email_id": 5}, "`email_id` is not a text"),
        ({"mailing": {"id": "a"}}, "`mailing` is not a text"),
        ({"machine": "false"}, "`machine` is not true or false"),
        ({"address": "bob, carol"}, "`address` is not an email address"),
        ({"address": "b" * 300 + "@example.edu"}, "`address` is not an email address"),
        (
            {"email_id": "", "message_id": None, "address": ""},
            "none of `email_id`, `message_id` and `address`",
        ),
    ],
)
def test_a_rejected_event_gets_a_precise_reason(change: dict[str, Any], reason: str) -> None:
    assert read_reason(PROVIDER, {**CLICK, **change}) == reason


@pytest.mark.parametrize("item", [None, 1, "open", [], [CLICK]])
def test_an_event_is_an_object(item: Any) -> None:
    assert read_reason(PROVIDER, item) == "not an object"


def test_null_means_that_a_field_is_missing_and_other_fields_are_ignored() -> None:
    sparse = {**dict.fromkeys(CLICK), "type": "opened", "at": CLICK["at"], "address": "b@x.edu"}
    assert read_one(PROVIDER, {**sparse, "campaign": 5}) == read_one(
        PROVIDER, {"type": "opened", "at": CLICK["at"], "address": "b@x.edu"}
    )


def test_a_redelivery_is_the_same_event() -> None:
    first, again = read_one(PROVIDER, CLICK), read_one(PROVIDER, {**CLICK, "event_id": "evt-2"})
    assert first.identity == again.identity
    assert first == read_one(PROVIDER, dict(reversed(CLICK.items())))


@pytest.mark.parametrize("name", ["type", "at", "email_id", "message_id", "address", "url"])
def test_another_fact_makes_another_event(name: str) -> None:
    other = {
        "type": "opened",
        "at": "2026-11-28T10:00:01Z",
        "address": "carol@example.edu",
    }.get(name, "other")
    assert read_one(PROVIDER, {**CLICK, name: other}).identity != read_one(PROVIDER, CLICK).identity


def test_charlies_organization_has_other_identities() -> None:
    (charlies,) = PROVIDER.read_events(b"c" * 12, CLICK)
    assert charlies.identity != read_one(PROVIDER, CLICK).identity


@pytest.mark.parametrize("posted", [[CLICK, CLICK], [CLICK], []])
def test_a_post_is_an_array(posted: list[dict[str, Any]]) -> None:
    body = PROVIDER.unwrap(json.dumps(posted).encode())
    assert parse_items(body) == posted
    assert count_body_items(body) == len(posted)


def test_a_post_may_be_one_event() -> None:
    body = PROVIDER.unwrap(json.dumps(CLICK).encode())
    assert (parse_items(body), count_body_items(body)) == ([CLICK], 1)


def test_only_alices_secret_signs() -> None:
    is_authentic = PROVIDER.scheme.is_authentic
    request = sign(json.dumps([CLICK]).encode())
    assert is_authentic(SECRET, request)
    assert not is_authentic(OTHER_SECRET, request)
    assert not is_authentic(SECRET, request._replace(body=b"[]"))
    assert not is_authentic(SECRET, request._replace(headers={}))
    cut = {name: value[:-1] for name, value in request.headers.items()}
    assert not is_authentic(SECRET, request._replace(headers=cut))
    check_odd_requests(PROVIDER, SECRET)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_é", "whsec_AAAA", "secret"])
def test_other_keys_are_rejected(text: str) -> None:
    with pytest.raises(Unusable, match=r"^Must "):
        PROVIDER.scheme.check(text)


def test_a_secret_is_accepted() -> None:
    PROVIDER.scheme.check(SECRET)


@given(ODD_VALUES | st.fixed_dictionaries({"type": ODD_VALUES, "at": ODD_VALUES}))
@settings(max_examples=50, deadline=None)
def test_odd_values_raise_only_a_reason(item: Any) -> None:
    read_odd(PROVIDER, item)


def test_odd_values_in_each_field_raise_only_a_reason() -> None:
    for item in replace_each_field(CLICK):
        read_odd(PROVIDER, item)
