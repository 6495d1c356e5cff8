"""Resend's webhooks: Alice sends the spring appeal, and Bob receives it."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from documents.errors import Unusable
from documents.providers.provider import WebhookRequest, parse_items
from documents.providers.report import EVENT_TYPES, EventReport
from documents.providers.resend import PROVIDER, TYPES, UNCOUNTED_TYPES

ORGANIZATION, CHARLIES = b"o" * 12, b"p" * 12
SECRET = "whsec_" + base64.b64encode(b"alice raises funds 24 ok").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"charlie works elsewhere!").decode()
MESSAGE = "56761188-7520-42d8-8898-ff6fc54ce618"
AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/16.1 Safari/605.1.15"
CLICK = {
    "ipAddress": "192.0.2.1",
    "link": "https://give.edu/",
    "timestamp": "2026-11-24T05:00:57.163Z",
    "userAgent": AGENT,
}
Item = dict[str, Any]


def make_item(type_: str, **data: Any) -> Item:
    """Return the payload of an event about Bob's email."""
    return {
        "type": type_,
        "created_at": "2026-11-22T23:41:12.126Z",
        "data": {
            "broadcast_id": "8b146471-e88e-4322-86af-016cd36fd216",
            "created_at": "2026-11-22T23:41:11.894719+00:00",
            "email_id": MESSAGE,
            "from": "Giving <giving@example.edu>",
            "to": ["bob@example.edu"],
            "subject": "Spring",
            "tags": {"email_id": "a" * 24, "mailing": "m" * 24, "category": "appeal"},
            **data,
        },
    }


def read(item: Item, organization: bytes = ORGANIZATION) -> EventReport:
    """Return the only report of a payload, as Matchback reads it after it was stored."""
    (stored,) = parse_items(PROVIDER.unwrap(json.dumps(item).encode()))
    (report,) = PROVIDER.read_events(organization, stored)
    return report


def sign(body: bytes, secret: str = SECRET, age: timedelta = timedelta()) -> dict[str, str]:
    """Return the headers that Svix adds."""
    at = datetime.now(UTC) - age
    return {
        "SVIX-ID": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        "SVIX-TIMESTAMP": str(int(at.timestamp())),
        "SVIX-SIGNATURE": Webhook(secret).sign(
            "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", at, body.decode()
        ),
    }


def is_authentic(headers: dict[str, str], body: bytes, secret: str = SECRET) -> bool:
    """Return whether Matchback accepts the request."""
    return PROVIDER.scheme.is_authentic(secret, WebhookRequest(headers, body))


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


def test_another_signature_is_not_authentic() -> None:
    body = json.dumps(make_item("email.opened")).encode()
    good = sign(body)
    assert is_authentic(good, body)
    two = f"v1,AAAA {good['SVIX-SIGNATURE']}"
    assert is_authentic({**good, "SVIX-SIGNATURE": two}, body)
    changes: list[dict[str, str]] = [
        {"SVIX-SIGNATURE": ""},
        {"SVIX-SIGNATURE": good["SVIX-SIGNATURE"][:-4]},
        {"SVIX-SIGNATURE": good["SVIX-SIGNATURE"].replace("v1,", "v2,")},
        {"SVIX-SIGNATURE": "v1"},
        {"SVIX-SIGNATURE": "v1,é"},
        {"SVIX-SIGNATURE": "\udcff"},
        {"SVIX-ID": "msg_other"},
        {"SVIX-ID": "\udcff"},
        {"SVIX-ID": ""},
        {"SVIX-TIMESTAMP": "1"},
        {"SVIX-TIMESTAMP": "soon"},
        {"SVIX-TIMESTAMP": "nan"},
        {"SVIX-TIMESTAMP": "1e300"},
        {"SVIX-TIMESTAMP": "9" * 5000},
        {"SVIX-TIMESTAMP": ""},
        sign(body, OTHER_SECRET),
        sign(body + b" "),
        sign(body, age=timedelta(minutes=6)),
        sign(body, age=-timedelta(minutes=6)),
    ]
    assert not any(is_authentic({**good, **change}, body) for change in changes)
    assert not is_authentic({}, body)
    for other in (b"", body + b"\n", body[:-1], b"\xff" + body):
        assert not is_authentic(good, other)
    for key in ("", "whsec_", "whsec_!", "é", OTHER_SECRET):
        assert not is_authentic(good, body, key)


def test_secrets_are_checked() -> None:
    for text in (SECRET, SECRET.removeprefix("whsec_"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"):
        PROVIDER.scheme.check(text)
    PROVIDER.scheme.check("whsec_" + "QUFB" * 8 + "QQ")  # without padding
    for text in ("", "whsec_", "whsec_é", "whsec_a b", "re_123", "whsec_AAAA", "A" * 4000):
        with pytest.raises(Unusable, match=r"^Must be a signing secret"):
            PROVIDER.scheme.check(text)


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


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ("to", "cc", "tags", "headers", "click", "bounce", "email_id", "broadcast_id")


@given(st.sampled_from(FIELDS), VALUES)
@settings(max_examples=100)
def test_no_value_raises_another_error(name: str, value: Any) -> None:
    for type_ in ("email.bounced", "email.clicked"):
        item = make_item(type_, **{name: value})
        for one in (value, item, {**item, "data": value}, {**item, "created_at": value}):
            try:
                for report in PROVIDER.read_events(ORGANIZATION, one):
                    f"{report.address}{report.email_ref}{report.category}{report.type}".encode()
            except Unusable:
                pass


def test_lone_surrogates_and_huge_values_are_storable() -> None:
    big = "\ud800" * 100_000
    tags = [{"name": f"{big}{number}", "value": big} for number in range(20)]
    headers = {"X-Metadata": "[" * 100_000, "X-Tags": big}
    item = make_item("email.opened", to=[big + "@x"], tags=tags, headers=headers, email_id=big)
    (report,) = PROVIDER.read_events(ORGANIZATION, {**item, "type": f"email.{big}"})
    assert len(f"{report.type}{report.message_id}{report.category}".encode()) < 20_000
