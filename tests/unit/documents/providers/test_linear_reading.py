"""Reading and checking a provider's request takes time linear in the length of any text."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from documents.errors import Unusable
from documents.providers import credentials, mailgun, postmark, resend
from documents.providers.provider import Provider, WebhookRequest
from documents.providers.recipients import read_sole_address
from tests.unit.test_linear_work import UNITS, WRAPS, is_linear, latin, raw, repeated

ORGANIZATION = b"o" * 12
KEY = "5f0c8be2a1d94c7e"
AT = "2026-04-05T16:33:54Z"
ITEMS: dict[str, Callable[[str], list[Any]]] = {
    "mailgun": lambda text: [
        {"event-data": {**_make_mailgun(text), "event": type_, "severity": "permanent"}}
        for type_ in ("failed", "rejected", text)
    ],
    "postmark": lambda text: [
        {**_make_postmark(text), "RecordType": record} for record in ("Open", "Bounce", text)
    ],
    "resend": lambda text: [
        {"type": type_, "created_at": AT, "data": _make_resend(text)}
        for type_ in ("email.bounced", f"email.{text}")
    ],
}


def _make_mailgun(text: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(("id", "recipient", "url", "ip", "reason", "user-variables"), text),
        "timestamp": 1_770_000_000,
        "tags": [text] * 3,
        "message": {"headers": {"to": text, "message-id": text}},
        "delivery-status": {"message": text, "code": text, "bounce-type": text},
        "client-info": {"bot": text, "user-agent": text},
    }


def _make_postmark(text: str) -> dict[str, Any]:
    names = ("Type", "MessageID", "Tag", "Recipient", "OriginalLink", "UserAgent")
    metadata = {"email_id": text, "mailing": [text] * 3}
    return {**dict.fromkeys(names, text), "ReceivedAt": AT, "Metadata": metadata}


def _make_resend(text: str) -> dict[str, Any]:
    headers = [{"name": name, "value": text} for name in ("X-Metadata", "X-Tags", text)]
    return {
        **dict.fromkeys(("email_id", "broadcast_id"), text),
        "to": [text],
        "tags": {"email_id": text, text: text},
        "headers": headers,
        "bounce": {"type": text, "subType": text},
        "click": {"link": text, "userAgent": text},
    }


def _read(provider: Provider) -> Callable[[str], None]:
    def read(text: str) -> None:
        for item in ITEMS[provider.name](text):
            with suppress(Unusable):
                provider.read_events(ORGANIZATION, item)

    return read


def _check(provider: Provider) -> Callable[[str], None]:
    def check(text: str) -> None:
        names = ("AUTHORIZATION", "X-WEBHOOK-SECRET", "SVIX-ID", "SVIX-SIGNATURE")
        headers = dict.fromkeys(names, latin(text)) | {"SVIX-TIMESTAMP": "1"}
        for authorization in ("", "Basic ", "Bearer "):
            sent = {**headers, "AUTHORIZATION": authorization + latin(text)}
            provider.scheme.is_authentic(KEY, WebhookRequest(sent, raw(text)))
        with suppress(Unusable):
            provider.scheme.check(text)

    return check


PROVIDERS = (mailgun.PROVIDER, postmark.PROVIDER, resend.PROVIDER)
WORK: dict[str, Callable[[str], object]] = {
    "a credential": credentials.check_credential,
    "a recipient": read_sole_address,
    **{f"{provider.name}'s events": _read(provider) for provider in PROVIDERS},
    **{f"{provider.name}'s proof": _check(provider) for provider in PROVIDERS},
}


@pytest.mark.parametrize("name", WORK)
def test_work_grows_linearly_with_its_input(name: str) -> None:
    act = WORK[name]
    with suppress(Unusable):
        act("warm")
    grows = [
        (unit, before, after)
        for unit in UNITS
        for before, after in WRAPS
        if not is_linear(act, repeated(unit, before, after))
    ]
    assert not grows
