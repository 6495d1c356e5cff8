"""Mailgun's webhooks: Alice sends the spring appeal, and Bob receives it."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.providers.mailgun import PROVIDER, TYPES, UNCOUNTED_TYPES
from documents.providers.provider import WebhookRequest, parse_items
from documents.providers.report import EVENT_TYPES, EventReport

ORGANIZATION, CHARLIES = b"o" * 12, b"p" * 12
KEY, PARENT_KEY = "b0b5ca1e" * 4, "a11ce000" * 4
AT = 1770327118.6648676
AGENT = "Mozilla/5.0 (Linux; Android 14) Chrome/133.0 Mobile Safari/537.36"
TOKEN = "7e5a" * 12 + "9f"
Item = dict[str, Any]


def make_data(type_: str, **fields: Any) -> Item:
    """Return the event data that Mailgun sends about Bob's email."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return {
        "event": type_,
        "id": f"{type_}-A9dLUrCXQjK92TlnW3zkIA",
        "timestamp": AT,
        "log-level": "info",
        "account": {"id": "1234567890303a4bd1f33898"},
        "domain": {"name": "mail.example.edu"},
        "message": {"headers": {"message-id": "20260205.8e3a@mail.example.edu"}},
        "campaigns": [],
        "recipient": "bob@example.edu",
        "recipient-domain": "example.edu",
        "tags": ["spring", "alumni"],
        "user-variables": {"email_id": "a" * 24, "mailing": "m" * 24},
        **named,
    }


def sign(key: str, timestamp: Any = "1770327119", token: str = TOKEN) -> Item:
    """Return the signature block of a payload."""
    text = f"{timestamp}{token}".encode()
    digest = hmac.new(key.encode(), text, hashlib.sha256).hexdigest()
    return {"timestamp": timestamp, "token": token, "signature": digest}


def wrap(data: Item, **block: Any) -> Item:
    """Return a signed payload."""
    return {"signature": {**sign(KEY), **block}, "event-data": data}


def read(data: Item, organization: bytes = ORGANIZATION) -> EventReport:
    """Return the only report of a payload, as Matchback reads it after it was stored."""
    (item,) = parse_items(PROVIDER.unwrap(json.dumps(wrap(data)).encode()))
    (report,) = PROVIDER.read_events(organization, item)
    return report


def is_authentic(item: Any, key: str = KEY) -> bool:
    """Return whether Matchback accepts the request."""
    body = item if isinstance(item, bytes) else json.dumps(item).encode()
    return PROVIDER.scheme.is_authentic(key, WebhookRequest({}, body, "https://x.edu/"))


def test_bob_clicks_the_link() -> None:
    client = {"client-type": "mobile browser", "user-agent": AGENT, "bot": None}
    data = make_data("clicked", url="https://give.edu/", ip="192.0.2.1", client_info=client)
    assert is_authentic(wrap(data))
    report = read(data)
    assert report.at == datetime(2026, 2, 5, 21, 31, 58, 664000, UTC)
    assert (report.type, report.address, report.email_ref) == ("click", "bob@example.edu", "a" * 24)
    assert (report.url, report.user_agent) == ("https://give.edu/", AGENT)
    assert (report.ip, report.machine) == ("192.0.2.1", False)
    assert report.message_id == "20260205.8e3a@mail.example.edu"
    assert report.category == ("m" * 24, "spring", "alumni")
    assert report.provider_event_id == "mailgun:clicked-A9dLUrCXQjK92TlnW3zkIA:1770327118.664"


@pytest.mark.parametrize(("mailgun_type", "stored"), TYPES.items())
def test_every_documented_type_is_counted(mailgun_type: str, stored: str) -> None:
    assert stored in EVENT_TYPES
    assert read(make_data(mailgun_type)).type == stored


@pytest.mark.parametrize("mailgun_type", sorted(UNCOUNTED_TYPES))
def test_events_about_no_sent_message_give_no_report(mailgun_type: str) -> None:
    assert PROVIDER.read_events(ORGANIZATION, wrap(make_data(mailgun_type))) == ()


def test_an_unknown_type_is_kept() -> None:
    assert read(make_data("teleported")).type == "mailgun:teleported"


PERMANENT_FAILURES: list[tuple[Item, tuple[str, str | None]]] = [
    ({"reason": "suppress-bounce"}, ("dropped", None)),
    ({"reason": "suppress-unsubscribe"}, ("dropped", None)),
    ({"reason": "suppress-complaint"}, ("dropped", None)),
    ({"reason": "generic", "code": 605}, ("dropped", None)),
    ({"reason": "bounce", "code": 550, "enhanced-code": "5.1.1"}, ("bounce", "hard")),
    (
        {"reason": "bounce", "code": 550, "enhanced-code": "5.5.0", "bounce-type": "hard"},
        ("bounce", "hard"),
    ),
    ({"reason": "bounce", "code": 550, "message": "Relay Not Permitted"}, ("bounce", "hard")),
    ({"reason": "bounce", "code": 550, "message": "5.1.1 No such user"}, ("bounce", "hard")),
    ({"reason": "delayed-bounce"}, ("bounce", "hard")),
    ({"reason": "generic", "code": 498, "message": "No MX for example.edu"}, ("bounce", "hard")),
    ({"reason": "generic", "enhanced-code": "5.2.1"}, ("bounce", "hard")),
    (
        {"reason": "bounce", "code": 552, "enhanced-code": "5.2.2", "bounce-type": "hard"},
        ("bounce", "blocked"),
    ),
    ({"reason": "bounce", "code": 550, "message": "550 5.7.1 Spam"}, ("bounce", "blocked")),
    ({"reason": "bounce", "enhanced-code": "5.1.8"}, ("bounce", "blocked")),
    ({"reason": "bounce", "enhanced-code": "5.3.4"}, ("bounce", "blocked")),
    ({"reason": "bounce", "bounce-type": "soft"}, ("bounce", "blocked")),
    ({"reason": "espblock", "code": 554, "bounce-type": "hard"}, ("bounce", "blocked")),
    ({"reason": "old", "code": 602, "message": "Too old"}, ("bounce", "blocked")),
    ({"reason": "generic", "code": 554}, ("bounce", "blocked")),
    ({}, ("bounce", "blocked")),
]


@pytest.mark.parametrize(("facts", "expected"), PERMANENT_FAILURES)
def test_bounces_blocks_and_drops_are_told_apart(
    facts: Item, expected: tuple[str, str | None]
) -> None:
    reason, status = facts.get("reason"), {k: v for k, v in facts.items() if k != "reason"}
    report = read(make_data("failed", severity="permanent", reason=reason, delivery_status=status))
    assert (report.type, report.bounce_type) == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("generic", ("deferred", None)),
        ("greylisted", ("deferred", None)),
        ("espblock", ("deferred", None)),
        ("old", ("bounce", "blocked")),
    ],
)
def test_a_temporary_failure_is_deferred_until_mailgun_gives_up(
    reason: str, expected: tuple[str, str | None]
) -> None:
    status = {"code": 421, "retry-seconds": 600, "enhanced-code": None}
    data = make_data("failed", severity="temporary", reason=reason, delivery_status=status)
    report = read(data)
    assert (report.type, report.bounce_type) == expected


@pytest.mark.parametrize(
    ("bot", "machine"),
    [("apple", True), ("gmail", True), ("generic", True), ("", False), (None, False)],
)
@pytest.mark.parametrize("type_", ["opened", "clicked"])
def test_mailguns_bot_field_marks_machines(type_: str, bot: str | None, machine: bool) -> None:
    assert read(make_data(type_, client_info={"bot": bot})).machine is machine


@pytest.mark.parametrize(
    "variables",
    [
        {"email_id": "a" * 24, "mailing": "m"},
        {"email_id": json.dumps("a" * 24), "mailing": json.dumps(["m"])},
        json.dumps({"email_id": "a" * 24, "mailing": "m"}),
    ],
)
def test_variables_may_be_json_in_a_text(variables: Any) -> None:
    report = read(make_data("opened", user_variables=variables, tags=[]))
    assert (report.email_ref, report.category) == ("a" * 24, ("m",))


def test_a_payload_without_custom_values_is_read() -> None:
    report = read(make_data("opened", user_variables=[], tags=["*"], campaigns=None))
    assert (report.email_ref, report.category) == (None, ())


def test_campaigns_are_mailings() -> None:
    data = make_data("opened", user_variables={}, campaigns=[{"id": "c1", "name": "Spring"}, 1])
    assert read(data).category == ("spring", "alumni", "c1", "Spring")


def test_a_rejected_message_names_its_recipient_in_the_header() -> None:
    for to, address in (("Bob <bob@example.edu>", "bob@example.edu"), ("a@b.edu, c@d.edu", "")):
        data = make_data("rejected", message={"headers": {"to": to}}, recipient=None)
        assert read(data).address == address


def test_a_redelivery_is_the_same_event() -> None:
    data = make_data("opened")
    first, again = (
        PROVIDER.read_events(ORGANIZATION, {"signature": block, "event-data": data})[0]
        for block in (sign(KEY), sign(KEY, "1770330719", "f" * 50))
    )
    assert first == again


def test_other_facts_and_other_organizations_give_other_events() -> None:
    changes: list[Item] = [
        {},
        {"timestamp": AT + 1},
        {"recipient": "carol@example.edu"},
        {"url": "https://x.edu/"},
        {"message": {"headers": {"message-id": "other"}}},
    ]
    identities = {read(make_data("clicked", **change)).identity for change in changes}
    identities.add(read(make_data("clicked"), CHARLIES).identity)
    assert len(identities) == len(changes) + 1


def test_an_id_that_returns_on_another_day_is_another_event() -> None:
    today, tomorrow = (read(make_data("opened", timestamp=AT + s)) for s in (0, 86_400))
    assert today.provider_event_id != tomorrow.provider_event_id


def test_the_parents_key_accepts_events_of_a_subaccount() -> None:
    parent = sign(PARENT_KEY)["signature"]
    item = wrap(make_data("opened"), **{"parent-signature": parent})
    assert is_authentic(item)
    assert is_authentic(item, PARENT_KEY)
    assert not is_authentic(wrap(make_data("opened")), PARENT_KEY)


def test_the_signature_may_have_any_age_and_the_time_may_be_a_number() -> None:
    for timestamp in ("1", "1529006854", 1529006854):
        item = {"signature": sign(KEY, timestamp), "event-data": make_data("opened")}
        assert is_authentic(item)
    damaged = json.dumps(item).replace("bob@", "\\ud800@").encode()
    assert is_authentic(damaged)


@pytest.mark.parametrize(
    "block",
    [
        {"signature": sign("f" * 32)["signature"]},
        {"signature": sign(KEY)["signature"][:-1]},
        {"signature": ""},
        {"signature": None},
        {"signature": "é" * 64},
        {"signature": "\udcff"},
        {"signature": [sign(KEY)["signature"]]},
        {"token": "0" * 50},
        {"token": ""},
        {"token": None},
        {"token": 1},
        {"timestamp": "1770327118"},
        {"timestamp": ""},
        {"timestamp": None},
        {"timestamp": True},
        {"timestamp": 1e300},
        {"timestamp": float("nan")},
        {"timestamp": {"$gt": ""}},
        {"signature": None, "parent-signature": sign("f" * 32)["signature"]},
    ],
)
def test_another_signature_is_not_authentic(block: Item) -> None:
    assert is_authentic(wrap(make_data("opened"), **block)) is False


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"signature": []}',
        b"timestamp=1&token=2&signature=3",
        b'{"signature": {"timestamp": ' + b"9" * 5000 + b', "token": "a", "signature": "b"}}',
    ],
)
def test_another_body_is_not_authentic(body: bytes) -> None:
    assert is_authentic(body) is False


def test_one_signature_does_not_vouch_for_a_second_item() -> None:
    item = wrap(make_data("opened"))
    forged = {"event-data": make_data("clicked")}
    assert is_authentic([item])
    assert not is_authentic([item, forged])
    assert not is_authentic([forged, item])


def test_a_repeated_name_has_the_same_value_for_the_check_and_for_the_reader() -> None:
    genuine, forged = (json.dumps(sign(key)) for key in (KEY, "f" * 32))
    data = json.dumps(make_data("opened"))
    body = f'{{"signature": {genuine}, "event-data": {data}, "signature": {forged}}}'
    assert not is_authentic(body.encode())


def test_an_empty_key_accepts_nothing() -> None:
    assert not is_authentic({"signature": sign(""), "event-data": {}}, "")


def test_keys_are_checked() -> None:
    for key in (KEY, "key-" + KEY):
        PROVIDER.scheme.check(key)
    for text in ("", KEY[:15], KEY + " x", KEY + "é", "x" * 256):
        with pytest.raises(Unusable, match="signing key"):
            PROVIDER.scheme.check(text)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"event": 1, "timestamp": AT},
        {"event": "opened"},
        {"event": "opened", "timestamp": True},
        {"event": "opened", "timestamp": float("nan")},
        {"event": "opened", "timestamp": 10**400},
        {"event": "opened", "timestamp": "soon"},
    ],
)
def test_an_unreadable_payload_has_a_reason(data: Any) -> None:
    with pytest.raises(Unusable, match=r"."):
        PROVIDER.read_events(ORGANIZATION, {"event-data": data})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.sampled_from(sorted(make_data("failed", url="", client_info={}, ip="", reason=""))), VALUES
)
@settings(max_examples=100)
def test_no_value_raises_another_error(name: str, value: Any) -> None:
    for type_ in ("failed", "clicked", "rejected"):
        data = {**make_data(type_, severity="permanent"), name: value}
        for item in (value, {"event-data": value}, {"signature": value, "event-data": data}):
            try:
                for report in PROVIDER.read_events(ORGANIZATION, item):
                    f"{report.address}{report.email_ref}{report.category}{report.type}".encode()
            except Unusable:
                pass
            PROVIDER.scheme.is_authentic(KEY, WebhookRequest({}, repr(item).encode()))


def test_lone_surrogates_and_huge_values_are_storable() -> None:
    big = "\ud800" * 100_000
    data = make_data(
        "failed",
        severity="permanent",
        reason=big,
        recipient=big + "@x.edu",
        tags=[big] * 1000,
        user_variables={"email_id": big, "mailing": [big] * 1000},
        delivery_status={"message": "5.1.1" * 100_000, "enhanced-code": big, "code": 10**400},
    )
    (report,) = PROVIDER.read_events(ORGANIZATION, {"event-data": data})
    assert len(f"{report.email_ref}{report.category}".encode()) < 20_000
