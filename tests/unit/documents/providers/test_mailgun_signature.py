"""Mailgun's signature, inside of the body."""

import json

import pytest

from documents.errors import Unusable
from documents.providers.mailgun import PROVIDER
from tests.unit.documents.providers.mailgun_payloads import (
    KEY,
    PARENT_KEY,
    Item,
    is_authentic,
    make_data,
    sign,
    wrap,
)


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
    for text in ("", KEY[:7], KEY + " x", KEY + "é", "x" * 256):
        with pytest.raises(Unusable, match="signing key"):
            PROVIDER.scheme.check(text)
