"""SendGrid's signature and events, with the test vector of SendGrid's own package."""

import base64
import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sendgrid
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sendgrid.helpers.eventwebhook import EventWebhook

from documents.errors import Unusable
from documents.providers.provider import parse_items
from documents.providers.report import EVENT_TYPES
from documents.providers.sendgrid import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    is_signed,
    load_public_key,
    read_event_report,
)
from tools.testbed.cast import export_public_key, make_event, sign_webhook

ORGANIZATION = b"o" * 12
AT = 1_700_000_000


def test_sendgrids_verifier_accepts_the_same_signatures() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    body = json.dumps([make_event("a" * 24, "open", AT)]).encode() + b"\r\n"
    headers = sign_webhook(key, body)
    theirs = EventWebhook(export_public_key(key))
    for content, expected in ((body, True), (body.rstrip(), False)):
        arguments = headers[SIGNATURE_HEADER], headers[TIMESTAMP_HEADER]
        assert theirs.verify_signature(content.decode(), *arguments) is expected
        ours = load_public_key(export_public_key(key))
        assert is_signed(ours, *arguments, content) is expected


@pytest.mark.parametrize("signature", ["", "garbage!", "AAAA", "é", "====", "MEUCIQ=="])
def test_an_invalid_signature_raises_no_error(signature: str) -> None:
    key = load_public_key(export_public_key(ec.generate_private_key(ec.SECP256R1())))
    assert is_signed(key, signature, "1", b"[]") is False


def _spki(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "AAAA",
        "\0",
        "é",
        _spki(rsa.generate_private_key(65537, 2048)),
        _spki(ec.generate_private_key(ec.SECP384R1())),
    ],
)
def test_other_keys_are_rejected(text: str) -> None:
    with pytest.raises(Unusable, match="Must be a "):
        load_public_key(text)


def test_an_event_is_parsed() -> None:
    report = read_event_report(
        ORGANIZATION, make_event("a" * 24, "click", AT, url="https://x", category="spring")
    )
    assert report.at == datetime.fromtimestamp(AT, UTC)
    assert (report.type, report.email_ref, report.category) == ("click", "a" * 24, ("spring",))


def test_category_may_be_a_list() -> None:
    assert read_event_report(
        ORGANIZATION, make_event("a", "open", AT, category=["b", "c"])
    ).category == ("b", "c")


def test_a_new_sg_event_id_does_not_make_a_new_event() -> None:
    first = read_event_report(ORGANIZATION, make_event("a", "open", AT))
    again = read_event_report(ORGANIZATION, make_event("a", "open", AT, sg_event_id="another"))
    assert first.identity == again.identity


@pytest.mark.parametrize(
    "other",
    [
        make_event("b", "open", AT),
        make_event("a", "click", AT),
        make_event("a", "open", AT + 1),
        make_event("a", "open", AT, useragent="x"),
        make_event("a", "open", AT, url="x"),
        make_event("a", "open", AT, email="charlie@example.org"),
    ],
)
def test_a_different_fact_makes_a_different_event(other: dict[str, object]) -> None:
    identity = read_event_report(ORGANIZATION, make_event("a", "open", AT)).identity
    assert read_event_report(ORGANIZATION, other).identity != identity


def test_the_same_event_of_another_organization_is_different() -> None:
    one = make_event("a", "open", AT)
    assert (
        read_event_report(ORGANIZATION, one).identity != read_event_report(b"p" * 12, one).identity
    )


@pytest.mark.parametrize(
    "item",
    [
        None,
        1,
        "open",
        [],
        {},
        {"event": "open"},
        {"event": 1, "timestamp": AT},
        {"event": "open", "timestamp": True},
        {"event": "open", "timestamp": "soon"},
        {"event": "open", "timestamp": 1e300},
        {"event": "open", "timestamp": -(10**18)},
        {"event": "open", "timestamp": float("nan")},
        {"event": "open", "timestamp": {"$gt": 0}},
    ],
)
def test_an_unreadable_event_reports_its_reason(item: object) -> None:
    with pytest.raises(Unusable, match=r"."):
        read_event_report(ORGANIZATION, item)


def test_one_invalid_character_does_not_lose_the_post() -> None:
    body = b'[{"event":"open","timestamp":1700000000,"email":"\\ud800@x"},{"event":"click"}]'
    items = parse_items(body)
    assert len(items) == 2
    read_event_report(ORGANIZATION, items[0]).address.encode()  # storable


@pytest.mark.parametrize(
    "odd",
    [
        b"[" * 3000 + b"]" * 3000,
        b'"a,]}[{"',
        b'"\\"],["',
        b"tru",
        b"",
        b'"\xff"',
        b'"a\x01b"',
        b"9" * 5000,
        b"NaN",
        b'"\\udfff"',
        b"1e999",
    ],
)
def test_one_invalid_event_leaves_the_others_readable(odd: bytes) -> None:
    good = json.dumps(make_event("a", "open", AT)).encode()
    first, _ = parse_items(b"[" + good + b', {"event": ' + odd + b"}]")
    assert (
        read_event_report(ORGANIZATION, first).identity
        == read_event_report(ORGANIZATION, make_event("a", "open", AT)).identity
    )


@pytest.mark.parametrize("body", [b"", b"{", b"[", b"\xff", b"1", b"[" * 100_000, b"{" * 100_000])
def test_a_body_must_be_an_array_or_an_object(body: bytes) -> None:
    with pytest.raises(Unusable, match=r"."):
        parse_items(body)


def _sendgrids_own() -> Any:
    """Return the test vector that SendGrid's package installs."""
    folder = Path(sendgrid.__file__).parents[1]
    path = folder / "test" / "unit" / "test_eventwebhook.py"
    spec = importlib.util.spec_from_file_location("sendgrids_own", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.UnitTests.setUpClass()
    return module.UnitTests


def test_sendgrids_test_vector_passes() -> None:
    vector = _sendgrids_own()
    key, body = load_public_key(vector.PUBLIC_KEY), vector.PAYLOAD.encode()
    assert is_signed(key, vector.SIGNATURE, vector.TIMESTAMP, body)
    assert not is_signed(key, vector.SIGNATURE, vector.TIMESTAMP, body.rstrip())
    assert not is_signed(key, vector.SIGNATURE, "1600112503", body)
    (item,) = parse_items(body)
    report = read_event_report(ORGANIZATION, item)
    assert (report.type, report.at) == ("dropped", datetime.fromtimestamp(1600112492, UTC))


def test_every_documented_form_is_parsed() -> None:
    """The fields of each type in the Event Webhook reference, with custom arguments."""
    common = {
        "email": "bob@example.edu",
        "timestamp": AT,
        "smtp-id": "<one@ismtpd-1>",
        "sg_event_id": "one",
        "sg_message_id": "one.filter-1.2.3.0",
        "category": ["spring", "alumni"],
        "email_id": "a" * 24,
        "unique_arg": {"nested": True},
    }
    own: dict[str, dict[str, Any]] = {
        "processed": {"pool": {"name": "new", "id": 210}},
        "deferred": {"response": "400 try again later", "attempt": "5", "category": "spring"},
        "delivered": {"response": "250 OK", "ip": "192.0.2.1", "tls": 1},
        "bounce": {"reason": "500 unknown", "status": "5.0.0", "type": "blocked"},
        "dropped": {"reason": "Bounced Address", "status": "5.0.0"},
        "open": {"useragent": "Mozilla/5.0", "ip": "192.0.2.1", "sg_machine_open": False},
        "click": {"url": "https://x.edu/", "url_offset": {"index": 0, "type": "html"}},
        "spamreport": {},
        "unsubscribe": {"sg_event_id": None},
        "group_unsubscribe": {"asm_group_id": 10, "url": "https://x.edu/", "ip": "192.0.2.1"},
        "group_resubscribe": {"asm_group_id": 10},
    }
    reports = [
        read_event_report(ORGANIZATION, {**common, "event": type_, **fields})
        for type_, fields in own.items()
    ]
    assert {report.type for report in reports} == own.keys() == EVENT_TYPES - {"resubscribe"}
    assert {report.category for report in reports} == {("spring",), ("spring", "alumni")}
    assert {report.email_ref for report in reports} == {"a" * 24}
    assert {report.group for report in reports} == {None, "10"}
    assert len({report.identity for report in reports}) == len(own)


def test_a_damaged_post_gives_the_same_groups_and_positions_as_an_intact_one() -> None:
    common = {"email": "bob@example.edu", "timestamp": AT, "email_id": "a" * 24}
    left = {**common, "event": "group_unsubscribe", "asm_group_id": 10}
    click = {**common, "event": "click", "url_offset": {"index": 0, "type": "html"}}
    body = f"[tru, {json.dumps(left)}, {json.dumps(click)}]".encode()
    _, *damaged = parse_items(body)
    intact = [read_event_report(ORGANIZATION, item) for item in (left, click)]
    assert [read_event_report(ORGANIZATION, item) for item in damaged] == intact
    assert intact[0].group == "10"
    for odd in (float("nan"), float("inf"), 0.5, -1.0, 1e300):
        assert read_event_report(ORGANIZATION, {**left, "asm_group_id": odd}).group is None
