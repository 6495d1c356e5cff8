"""Mandrill: the signed form, and the events of Bob's email."""

import base64
import hashlib
import hmac
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.providers.mandrill import CHECK_KEY, MANDRILL_TYPES, PROVIDER
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

KEY, OTHER_KEY = "aLiCeSwEbHoOkKeY-22ch_", "cHaRlIeSwEbHoOkKeY-22c"
URL = "https://matchback.example.edu/v1/webhooks/mandrill/64b7f0a1c2d3e4f5a6b7c8d9"
MESSAGE = {
    "ts": 1_795_860_000,
    "subject": "It is Spring Giving Day",
    "email": "bob@example.edu",
    "sender": "giving@example.edu",
    "tags": ["spring", "alumni"],
    "opens": [],
    "clicks": [],
    "state": "sent",
    "metadata": {"email_id": "64b7f0a1c2d3e4f5a6b7c8d9", "mailing": "Spring Appeal"},
    "_id": "7761629fa6a14f2e8e2a1d1b9ac7d0b1",
    "_version": "gcXfAZbmFmYYYqBJ8CyFbg",
}
AGENT = {"type": "Browser", "ua_family": "Firefox", "os_family": "OS X", "mobile": False}
CLICK = {
    "event": "click",
    "msg": MESSAGE,
    "_id": "7761629fa6a14f2e8e2a1d1b9ac7d0b1",
    "ts": 1_795_863_600,
    "ip": "192.0.2.1",
    "location": {"country_short": "US", "city": "Oklahoma City", "latitude": 35.4},
    "user_agent": "Mozilla/5.0 (Macintosh)",
    "user_agent_parsed": AGENT,
    "url": "https://give.example.edu/spring",
}


def encode_form(events: Any) -> bytes:
    return urlencode({"mandrill_events": json.dumps(events)}).encode()


def sign(body: bytes, key: str = KEY, url: str = URL) -> WebhookRequest:
    """Sign as Mandrill describes it: the URL, then each name and value in the order of names."""
    pairs = sorted(part.partition(b"=")[::2] for part in body.split(b"&"))
    text = url.encode() + b"".join(
        unquote_to_bytes(one.replace(b"+", b" ")) for pair in pairs for one in pair
    )
    digest = hmac.new(key.encode(), text, hashlib.sha1).digest()
    headers = {"X-MANDRILL-SIGNATURE": base64.b64encode(digest).decode()}
    return WebhookRequest(headers, body, URL)


def test_bobs_click_has_all_its_facts() -> None:
    report = read_one(PROVIDER, CLICK)
    assert (report.type, report.at) == ("click", datetime.fromtimestamp(1_795_863_600, UTC))
    assert (report.email_ref, report.address) == ("64b7f0a1c2d3e4f5a6b7c8d9", "bob@example.edu")
    assert report.message_id == "7761629fa6a14f2e8e2a1d1b9ac7d0b1"
    assert report.category == ("Spring Appeal", "spring", "alumni")
    assert (report.url, report.ip) == ("https://give.example.edu/spring", "192.0.2.1")
    assert (report.user_agent, report.machine) == ("Mozilla/5.0 (Macintosh)", False)
    assert report.provider_event_id is None  # `_id` is the message's


@pytest.mark.parametrize(("name", "stored"), MANDRILL_TYPES.items())
def test_each_type_is_stored(name: str, stored: str) -> None:
    report = read_one(PROVIDER, {"event": name, "msg": MESSAGE, "_id": "m", "ts": 1_795_863_600})
    assert report.type == stored
    assert stored in EVENT_TYPES


def test_a_soft_bounce_is_a_block_and_a_hard_bounce_is_not() -> None:
    full = {**MESSAGE, "bounce_description": "mailbox_full", "bgtools_code": 22, "diag": "552"}
    soft = read_one(PROVIDER, {"event": "soft_bounce", "msg": full, "ts": 1_795_863_600})
    hard = read_one(
        PROVIDER,
        {
            "event": "hard_bounce",
            "msg": {**full, "bounce_description": "bad_mailbox"},
            "ts": 1_795_863_600,
        },
    )
    assert (soft.type, soft.bounce_type) == ("bounce", BLOCKED)
    assert (hard.type, hard.bounce_type) == ("bounce", "bad_mailbox")


def test_a_new_type_is_kept_as_unknown() -> None:
    assert read_one(PROVIDER, {**CLICK, "event": "forward"}).type == "mandrill:forward"


@pytest.mark.parametrize(
    "item",
    [
        {"type": "blacklist", "action": "add", "reject": {"email": "bob@example.edu"}, "ts": 1},
        {"type": "whitelist", "action": "remove", "entry": {"email": "bob@example.edu"}, "ts": 1},
        {"type": "denylist", "action": "change", "reject": {}, "ts": 1_795_863_600},
        {"event": "inbound", "ts": 1_795_863_600, "msg": {"email": "help@example.edu"}},
    ],
)
def test_lists_and_received_emails_are_no_events(item: dict[str, Any]) -> None:
    assert PROVIDER.read_events(b"o" * 12, item) == ()


def test_a_robot_is_a_machine() -> None:
    robot = {**CLICK, "user_agent_parsed": {**AGENT, "type": "Robot"}}
    assert read_one(PROVIDER, robot).machine


def test_empty_metadata_may_be_a_list() -> None:
    report = read_one(PROVIDER, {**CLICK, "msg": {**MESSAGE, "metadata": [], "tags": "spring"}})
    assert (report.email_ref, report.category) == (None, ("spring",))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "not an object"),
        ({}, "no event type"),
        ({"event": 1}, "no event type"),
        ({"event": "open"}, "no timestamp"),
        ({"event": "open", "ts": "soon"}, "no timestamp"),
        ({"event": "open", "ts": 1e300}, "a timestamp out of range"),
    ],
)
def test_an_invalid_event_reports_its_reason(item: Any, reason: str) -> None:
    assert read_reason(PROVIDER, item) == reason


def test_a_redelivery_is_the_same_event() -> None:
    grown = {**MESSAGE, "opens": [{"ts": 1}], "clicks": [{"ts": 2, "url": "x"}]}
    again = read_one(PROVIDER, {**CLICK, "msg": grown})
    assert again.identity == read_one(PROVIDER, CLICK).identity


@pytest.mark.parametrize("change", [{"event": "open"}, {"_id": "n"}, {"ts": 1}, {"url": "x"}])
def test_another_fact_makes_another_event(change: dict[str, Any]) -> None:
    change = {name: 1_795_863_601 if name == "ts" else value for name, value in change.items()}
    changed = read_one(PROVIDER, {**CLICK, **change})
    assert changed.identity != read_one(PROVIDER, CLICK).identity


@pytest.mark.parametrize("events", [[CLICK], [CLICK] * 3, [], ["é+%&= ", None]])
def test_the_form_becomes_its_json(events: list[Any]) -> None:
    body = PROVIDER.unwrap(encode_form(events))
    assert parse_items(body) == events
    assert count_body_items(body) == len(events)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"mandrill_events", b"mandrill_events=", b"mandrill_events=null"),
        *(b"other=[]", b"mandrill_events=[]&mandrill_events=[]", b"&" * 1000, b"\xff"),
    ],
)
def test_other_bodies_have_no_json(body: bytes) -> None:
    with pytest.raises(Unusable, match="form"):
        PROVIDER.unwrap(body)


def test_one_invalid_event_leaves_the_others_readable() -> None:
    text = b"[" + json.dumps(CLICK).encode() + b", {tru}]"
    items = parse_items(PROVIDER.unwrap(b"mandrill_events=" + quote_plus(text).encode()))
    assert items == [CLICK, None]


def test_only_alices_key_signs_her_url() -> None:
    is_authentic = PROVIDER.scheme.is_authentic
    request = sign(encode_form([CLICK]))
    assert is_authentic(KEY, request)
    assert not is_authentic(OTHER_KEY, request)
    assert not is_authentic(KEY, request._replace(url=URL + "/"))
    assert not is_authentic(KEY, request._replace(body=encode_form([])))
    assert not is_authentic(KEY, request._replace(headers={}))
    assert not is_authentic(KEY, sign(encode_form([CLICK]), url="https://charlie.example.org"))
    cut = {name: value[:-1] for name, value in request.headers.items()}
    assert not is_authentic(KEY, request._replace(headers=cut))
    check_odd_requests(PROVIDER, KEY)


def test_the_signature_covers_the_fields_in_the_order_of_their_names() -> None:
    request = sign(b"z=last&mandrill_events=%5B%5D&a+b=%C3%A9+1")
    assert PROVIDER.scheme.is_authentic(KEY, request)
    other_order = b"a%20b=%c3%a9%201&z=last&mandrill_events=[]"
    assert PROVIDER.scheme.is_authentic(KEY, request._replace(body=other_order))
    assert not PROVIDER.scheme.is_authentic(KEY, request._replace(body=other_order + b"&c=d"))


def test_a_url_with_a_query_is_signed_with_it() -> None:
    url = URL + "?source=mandrill"
    assert PROVIDER.scheme.is_authentic(KEY, sign(encode_form([]), url=url)._replace(url=url))


def test_mandrill_signs_the_user_and_password_of_its_url() -> None:
    request = sign(encode_form([CLICK]), url=URL.replace("://", "://proxy:pass@"))
    basic = {"AUTHORIZATION": "Basic " + base64.b64encode(b"proxy:pass").decode()}
    assert PROVIDER.scheme.is_authentic(KEY, request._replace(headers={**basic, **request.headers}))
    assert not PROVIDER.scheme.is_authentic(KEY, request)
    plain = sign(encode_form([CLICK]))
    assert PROVIDER.scheme.is_authentic(KEY, plain._replace(headers={**basic, **plain.headers}))


def test_the_check_of_a_new_url_is_authentic_only_without_events() -> None:
    assert PROVIDER.is_url_check(sign(encode_form([]), key=CHECK_KEY))
    assert not PROVIDER.is_url_check(sign(encode_form([]), key=KEY))
    for body in (encode_form([]), encode_form([CLICK]), b"mandrill_events=[]&a=b"):
        request = sign(body, key=CHECK_KEY)
        assert not PROVIDER.scheme.is_authentic(KEY, request)
        assert body == encode_form([]) or not PROVIDER.is_url_check(request)


@pytest.mark.parametrize(
    "text", ["", "short", "with a space in it", "é" * 20, "x" * 300, CHECK_KEY]
)
def test_other_keys_are_rejected(text: str) -> None:
    with pytest.raises(Unusable, match=r"^Must "):
        PROVIDER.scheme.check(text)


def test_a_key_is_accepted() -> None:
    PROVIDER.scheme.check(KEY)


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_every_text_survives_the_form(text: bytes) -> None:
    text = b"[" + text
    assert PROVIDER.unwrap(b"mandrill_events=" + quote_plus(text).encode()) == text
    unreserved = b"mandrill_events=" + quote_plus(text, safe="[]{}:,\"'!*()/?@=\r\n\t").encode()
    assert PROVIDER.unwrap(unreserved) == text


@given(
    ODD_VALUES | st.fixed_dictionaries({"event": ODD_VALUES, "ts": ODD_VALUES, "msg": ODD_VALUES})
)
@settings(max_examples=50, deadline=None)
def test_odd_values_raise_only_a_reason(item: Any) -> None:
    read_odd(PROVIDER, item)


def test_odd_values_in_each_field_raise_only_a_reason() -> None:
    for item in replace_each_field(CLICK):
        read_odd(PROVIDER, item)
    for message in replace_each_field(MESSAGE):
        read_odd(PROVIDER, {**CLICK, "msg": message})


@pytest.mark.parametrize("text", [b"&", b"%", b"=", b"%25", b"%5B", b"+", b"a=b&", b"%\r", b"\n"])
def test_a_hostile_form_costs_linear_time(text: bytes) -> None:
    small, large = (_measure_form(text, repeats) for repeats in (20_000, 160_000))
    assert large < 8 * 3 * small + 0.03


def _measure_form(text: bytes, repeats: int) -> float:
    body = b"mandrill_events=[" + text * repeats
    started = time.thread_time()
    PROVIDER.scheme.is_authentic(KEY, WebhookRequest({}, body, URL))
    with suppress(Unusable):
        PROVIDER.unwrap(body)
    return time.thread_time() - started
