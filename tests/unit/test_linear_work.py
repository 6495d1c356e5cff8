"""Work on client input grows linearly: eight times the input takes about eight times the time.

Each function gets adversarial texts. The test measures processor time of this thread, so a busy
machine does not matter. It measures only slow texts again at a smaller size.
"""

import gc
import io
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import falcon
import pytest
from bson import ObjectId
from falcon import testing
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from config.observability import context, log
from documents import link
from documents.erased import items as erased_items
from documents.erased.mailboxes import digests_in
from documents.erased.rules import Traces
from documents.errors import Unusable
from documents.giving_links import references
from documents.imports.bodies import DonationIn, UserIn
from documents.imports.import_file import FileChoices, ImportFile
from documents.payments import ingest as payments
from documents.payments import standard_webhooks
from documents.payments.stripe import facts as stripe_events
from documents.people import search_words
from documents.providers import sendgrid, stripe
from documents.providers.provider import WebhookRequest
from documents.providers.registry import PROVIDERS
from documents.storage import pagination
from documents.tracking.machine_agents import is_machine_agent
from documents.tracking.rules import Click, MachineClickRule, find_machine_reasons
from documents.values import address, json_items, json_size, validation
from service.api import idempotency
from service.api import parsing as reading
from service.api.fields import Address, Id, Name, Text, Time
from service.api.resources.users import UserQuery
from service.dashboard import cookies, forms
from service.dashboard.live import watch
from service.dashboard.presentation import csv_file
from service.middleware import api_key, client_address
from service.middleware import request as middleware
from tests.rows import delivery_row

LARGE, TIMES_LESS = 24_000, 8
# Allowance for a fixed cost, a cache or the garbage collector. A quadratic function takes more at
# this size.
FLOOR_SECONDS = 0.03
MOST_GROWTH = 3 * TIMES_LESS
REPEATS = 3
ORGANIZATION = ObjectId()
_BOB = frozenset({"bob@example.edu"})
_EMAILS = frozenset({"6b077f764a76dcb912a43968"})
BOB = Traces(mailboxes=_BOB, addresses=_BOB, references=_EMAILS)

UNITS = (
    *('"', '\\"', "\\", "[", "{", "[]", "]", "{}", ",", ":", '"a",', '{"a":', "tru,", "\\ud800"),
    *("<", ">", "@", "a@", "@a", "a.a.a.a@", "a%40", "%25%25", "%", "%4", "%C3", "+", "=&", "a=1&"),
    *(" ", "\t", "\n", "\r\n", "\0", "9", "0.", "1e9", "-", "_", "/", "~", "~1", ";", "; ", "|"),
    *("a", "A", "ß", "İ", "\u200b", "\ufeff", "\u0301", "\u0315\u0300", "\u1e9b\u0323", "\ud800"),
    *("mb_", "mb_a", "v1=", "t=1,v1=a,", "v1,a ", 'W/"', '"a", ', "W/", "a1.a1-", "(", "'"),
    *("127.0.0.1, ", "=\\073", '\\"; a="', "bot", "Mozilla/5.0 (", "http", "://", "?", "#", "utm_"),
)
WRAPS = (("", ""), ('"', ""), ('{"a":["', '"]}'), ("a@", "@a1"))


def request(headers: dict[str, str] | None = None, **more: Any) -> falcon.Request:
    """Return a request with any header values, as a server passes them on."""
    environ = testing.create_environ(**more)
    for name, value in (headers or {}).items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return falcon.Request(environ)


def latin(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def read_event(text: str) -> None:
    names = ("event", "email", "email_id", "sg_message_id", "url", "useragent", "type", "category")
    item = dict.fromkeys(names, text) | {"timestamp": text, "url_offset": {"index": text}}
    with suppress(ValueError, Unusable):
        sendgrid.read_event_report(ORGANIZATION.binary, item)
    report = sendgrid.read_event_report(ORGANIZATION.binary, item | {"timestamp": 1_700_000_000})
    link.normalize_link(report.url or "")
    address.to_mailbox(report.address)
    references.resolve_reference(ORGANIZATION, report.email_ref)
    is_machine_agent(report.user_agent or "")


def read_charge(text: str) -> None:
    billing = {"name": text, "email": f"{text}@a"}
    told = {"object": "charge", "id": "ch_1", "amount": 1, "currency": "usd", "status": text}
    thing = {**told, "billing_details": billing, "metadata": {"email_id": text}, "created": 1}
    event = {"object": "event", "type": text, "created": 1, "data": {"object": thing}}
    stripe_events.read_facts(event)


def read_payment(text: str) -> None:
    payments.read_payment_webhook(delivery_row(body=raw(text), provider="payments"))


def verify(provider: str, header: str) -> Callable[[str], object]:
    keys = {"stripe": "whsec_secret", "payments": "whsec_" + "A" * 40}
    headers = {"WEBHOOK-ID": "1", "WEBHOOK-TIMESTAMP": str(int(time.time()))}

    def check(text: str) -> object:
        given = {**headers, header.upper(): text}
        return PROVIDERS[provider].scheme.is_authentic(keys[provider], WebhookRequest(given, b"{}"))

    return check


def read_query(text: str) -> None:
    req = request(query_string="")
    req.query_string = latin(text)
    reading.read_query(req, UserQuery)


def read_form(text: str) -> None:
    body = text.encode("ascii", "replace")
    headers = {"Content-Type": falcon.MEDIA_URLENCODED}
    req = falcon.Request(testing.create_environ(method="POST", body=body, headers=headers))
    forms.read_form(req)


def get_conditionally(text: str) -> None:
    resp = falcon.Response()
    resp.data = b"{}"
    req = request({"If-None-Match": latin(text)})
    middleware.ConditionalGets().process_response(req, resp, None, True)


def read_csv(text: str) -> None:
    content = b"name,email\n" + raw(text)
    choices = FileChoices("utf-8")
    with suppress(Unusable), ImportFile("emails", lambda: io.BytesIO(content), choices) as file:
        deque(file.survey_rows(), 0)
        deque(file.read_lines(), 0)


def log_line(text: str) -> None:
    line: dict[str, Any] = dict.fromkeys(("time", "level", "logger", "process"), "")
    log.to_json_line(None, "info", line | {"event": f"{text} a@b.c"})
    log.to_text_line(None, "info", line | {"event": text})


def erase(text: str) -> None:
    for body in (f'[tru, {text}, "bob@example.edu"]', f'["bob@example.edu", {json.dumps(text)}]'):
        BOB.has_address_or_reference(raw(body).decode("utf-8", "replace"))
        with suppress(ValueError, Unusable):
            erased_items.remove_items(raw(body), [0])


def in_field(model: Any) -> Callable[[str], object]:
    return TypeAdapter(model).validate_python


def fields_of(text: str) -> None:
    """Return an object with the text as many field names."""
    value = {f"{text[start : start + 3]}{start}": text[:3] for start in range(0, len(text), 5)}
    for model in (UserIn, DonationIn):
        with suppress(validation.InvalidRequest):
            validation.validate_value(model, value)
    json_size.has_too_many_members(value)
    with suppress(ValueError, Unusable):
        standard_webhooks.read_gift_post(value)


def tell_origin(text: str) -> None:
    context.REQUEST_ID_PATTERN.fullmatch(text)
    context.Origin.read(text)


WORK: dict[str, Callable[[str], object]] = {
    "split a post": lambda text: json_items.read_items(raw(text)),
    "split a post's inside": lambda text: json_items.read_items(b"[tru," + raw(text) + b"]"),
    "count a post's items": lambda text: json_items.count_items(b"[tru," + raw(text) + b"]"),
    "read an event": read_event,
    "read a charge": read_charge,
    "read a payment": read_payment,
    "erase in a post": erase,
    "mailboxes in a text": lambda text: digests_in(ORGANIZATION, [text, text[::-1]]),
    "Stripe's signature": verify("stripe", stripe.STRIPE_HEADER),
    "a standard signature": verify("payments", "Webhook-Signature"),
    "parse a body": lambda text: reading.parse_json(raw(text)),
    "parse a text": lambda text: reading.parse_json(json.dumps({"a": text}).encode()),
    "read a query": read_query,
    "read a query's value": lambda text: reading._decode(latin(text)),
    "read a form": read_form,
    "keys in a URL": lambda text: api_key.NoKeysInUrls().process_request(
        request(path="/a", query_string=latin(text)), falcon.Response()
    ),
    "an Authorization header": lambda text: api_key._find(f"mb_{text}"),
    "an Idempotency-Key": idempotency.IDEMPOTENCY_KEY_PATTERN.fullmatch,
    "cookies": lambda text: cookies.read_secret(
        request({"Cookie": latin(text)}), cookies.SESSION_COOKIE
    ),
    "our cookie": lambda text: cookies.read_secret(
        request({"Cookie": f'{cookies.SESSION_COOKIE}="{latin(text)}"'}), cookies.SESSION_COOKIE
    ),
    "If-None-Match": get_conditionally,
    "X-Forwarded-For": lambda text: client_address.find_client_address(
        request({"X-Forwarded-For": latin(text)})
    ),
    "a request's ID": tell_origin,
    "a cursor": lambda text: pagination.decode_cursor(text, "-created_at"),
    "a watched list": lambda text: watch.read_watch(text, ORGANIZATION),
    "a pointer": lambda text: validation.to_json_pointer((text, text)),
    "names of fields": fields_of,
    "a name": in_field(Name),
    "a text": in_field(Text),
    "an address": in_field(Address),
    "a time": in_field(Time),
    "an ID": in_field(Id),
    "is it an address": address.is_address,
    "a link": link.normalize_link,
    "a link's query": lambda text: link.normalize_link(f"https://x.edu/?a={text}"),
    "words of a person": lambda text: search_words.list_search_words(text, text),
    "terms of a search": search_words.parse_terms,
    "a table's cell": lambda text: csv_file.to_csv(["a"], [[text]]),
    "a file of emails": read_csv,
    "a log line": log_line,
}
EXPECTED = (
    ValueError,
    Unusable,
    falcon.HTTPError,
    validation.InvalidRequest,
    ValidationError,
    pagination.InvalidCursor,
)


def seconds(act: Callable[[str], object], text: str) -> float:
    """Return the processor seconds of this thread, the best of several runs."""
    best = float("inf")
    for _ in range(REPEATS):
        begun = time.thread_time()
        with suppress(*EXPECTED):
            act(text)
        best = min(best, time.thread_time() - begun)
        if best < FLOOR_SECONDS:
            break
    return best


def is_linear(act: Callable[[str], object], make: Callable[[int], str]) -> bool:
    """Return whether the time grows with the input's size, or is too short to matter."""
    large = seconds(act, make(LARGE))
    if large < FLOOR_SECONDS:
        return True
    return large / seconds(act, make(LARGE // TIMES_LESS)) < MOST_GROWTH


def repeated(unit: str, before: str = "", after: str = "") -> Callable[[int], str]:
    return lambda length: before + unit * (length // len(unit)) + after


@pytest.fixture(autouse=True)
def without_the_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch, mock_database: None) -> None:
    """Look up each address in X-Forwarded-For."""
    monkeypatch.setattr(client_address, "_is_trusted", lambda found: True)


@pytest.mark.parametrize("name", WORK)
def test_work_grows_linearly_with_its_input(name: str) -> None:
    act = WORK[name]
    seconds(act, "warm")
    grows = [
        (unit, before, after)
        for unit in UNITS
        for before, after in WRAPS
        if not is_linear(act, repeated(unit, before, after))
    ]
    assert grows == []


PIECES = st.lists(st.sampled_from(['"', "\\", "[", "{", "}", ",", "@", "%25", " ", "a", "1"]))


@pytest.mark.parametrize("name", WORK)
@settings(max_examples=20)
@given(PIECES, PIECES, PIECES)
def test_any_repeated_text_takes_linear_time(
    name: str, before: list[str], unit: list[str], after: list[str]
) -> None:
    text = repeated("".join(unit) or "a", "".join(before), "".join(after))
    assert is_linear(WORK[name], text)


def _clicks(number: int) -> list[Click]:
    """Return clicks on different links, all within two seconds."""
    start = datetime(2026, 11, 28, tzinfo=UTC)
    step = timedelta(seconds=2) / number
    return [Click(start + step * index, f"/{index}", "Mozilla/5.0") for index in range(number)]


def _judge(number: str) -> None:
    found = find_machine_reasons(_clicks(len(number)), None, MachineClickRule())
    assert set(found) == {"burst"}


def test_judging_clicks_of_one_moment_takes_linear_time() -> None:
    assert is_linear(_judge, "1".__mul__)


def test_the_measure_finds_a_quadratic_function() -> None:
    """Otherwise the tests above would prove nothing."""
    assert not is_linear(re.compile("a+b").search, repeated("a"))
