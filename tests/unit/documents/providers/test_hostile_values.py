"""No value in a payload of Mailgun, Postmark or Resend raises another error than Unusable."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.providers import mailgun, postmark, resend
from documents.providers.provider import EXAMPLE_EMAIL_ID, Provider, WebhookRequest
from documents.providers.report import EventReport
from tests.unit.documents.providers import mailgun_payloads, postmark_payloads, resend_payloads

ORGANIZATION = b"o" * 12
BIG = "\ud800" * 100_000
MANY = [BIG] * 1000
Item = dict[str, Any]

MAILGUN_FACTS = {
    "severity": "permanent",
    "url": "https://x.edu/",
    "ip": "192.0.2.1",
    "client-info": {"bot": "", "user-agent": "x"},
    "delivery-status": {"code": 550, "message": "5.1.1", "enhanced-code": "", "bounce-type": ""},
}
MAILGUN_ITEMS: list[Item] = [
    mailgun_payloads.wrap({**mailgun_payloads.make_data(type_), **MAILGUN_FACTS})
    for type_ in ("failed", "clicked", "rejected")
]
POSTMARK_ITEMS: list[Item] = [
    postmark_payloads.CLICK,
    postmark_payloads.BOUNCE,
    postmark_payloads.SUPPRESSION,
]
RESEND_ITEMS: list[Item] = [
    resend_payloads.make_item(type_, headers=[{"name": "X-Tags", "value": "[]"}], **facts)
    for type_, facts in (
        ("email.bounced", {"bounce": {"type": "Permanent", "subType": "General"}}),
        ("email.clicked", {"click": resend_payloads.CLICK}),
    )
]
SAMPLES = [
    *((mailgun.PROVIDER, item) for item in MAILGUN_ITEMS),
    *((postmark.PROVIDER, item) for item in POSTMARK_ITEMS),
    *((resend.PROVIDER, item) for item in RESEND_ITEMS),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
) | st.sampled_from([10**5000, BIG, MANY, "[" * 100_000, {"email_id": BIG, "mailing": MANY}])


def _list_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of the value and of each value in it."""
    inner = value.items() if isinstance(value, dict) else ()
    return [path, *(deep for name, one in inner for deep in _list_paths(one, (*path, name)))]


def _replace(item: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the item with another value at the path."""
    if not path:
        return value
    return {**item, path[0]: _replace(item[path[0]], path[1:], value)}


def _read(provider: Provider, item: Any) -> list[EventReport]:
    try:
        return list(provider.read_events(ORGANIZATION, item))
    except Unusable:
        return []


@pytest.mark.parametrize(("provider", "item"), SAMPLES)
def test_the_unchanged_samples_are_read(provider: Provider, item: Item) -> None:
    assert len(_read(provider, item)) == 1


@pytest.mark.parametrize(("provider", "item"), SAMPLES)
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_value_is_read_or_unusable_and_storable(
    provider: Provider, item: Item, data: st.DataObject
) -> None:
    path, value = data.draw(st.sampled_from(_list_paths(item))), data.draw(VALUES)
    changed = _replace(item, path, value)
    for report in _read(provider, changed):
        texts = [report.type, report.address, report.email_ref, report.message_id, report.url]
        texts += [report.user_agent, report.ip, report.bounce_type, report.provider_event_id]
        stored = "".join([*filter(None, texts), *report.category]).encode()
        assert len(stored) < 30_000


@given(st.binary(max_size=200), st.text(max_size=50))
@settings(max_examples=50)
def test_no_request_raises_an_error(body: bytes, text: str) -> None:
    names = ("SVIX-ID", "SVIX-SIGNATURE", "SVIX-TIMESTAMP", "AUTHORIZATION", "X-WEBHOOK-SECRET")
    for provider in (mailgun.PROVIDER, postmark.PROVIDER, resend.PROVIDER):
        for key in (text, "whsec_" + "A" * 32):
            for headers in ({}, dict.fromkeys(names, text)):
                assert not provider.scheme.is_authentic(key, WebhookRequest(headers, body)) or text


@pytest.mark.parametrize("provider", [mailgun.PROVIDER, postmark.PROVIDER, resend.PROVIDER])
def test_the_example_of_the_api_reference_is_a_click(provider: Provider) -> None:
    (report,) = _read(provider, provider.example)
    assert (report.type, report.address) == ("click", "bob@example.edu")
    assert report.email_ref == EXAMPLE_EMAIL_ID
