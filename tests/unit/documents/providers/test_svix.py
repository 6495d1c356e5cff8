"""Svix's signatures, which Resend sends."""

import json
from datetime import timedelta

import pytest

from documents.errors import Unusable
from documents.providers.resend import PROVIDER
from tests.unit.documents.providers.resend_payloads import (
    OTHER_SECRET,
    SECRET,
    is_authentic,
    make_item,
    sign,
)


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
