"""A provider's credential is accepted in three places, and nothing else is."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.providers.credentials import (
    CREDENTIAL_HEADERS,
    CREDENTIAL_SCHEME,
    MIN_SECRET_LENGTH,
    is_basic_credential,
    is_bearer_token,
    is_header_secret,
)
from documents.providers.provider import WebhookRequest

SECRET = "5f0c8be2a1d94c7e"
PAIR = f"matchback:{SECRET}"


def send(**headers: str) -> WebhookRequest:
    """Return a request with these headers."""
    return WebhookRequest(
        {name.replace("_", "-").upper(): value for name, value in headers.items()}, b"{}"
    )


def basic(pair: str | bytes) -> str:
    """Return the header of HTTP Basic."""
    content = pair if isinstance(pair, bytes) else pair.encode()
    return "Basic " + base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("credential", "headers"),
    [
        (SECRET, {"authorization": basic(PAIR)}),
        (SECRET, {"authorization": basic(f":{SECRET}")}),
        (PAIR, {"authorization": basic(PAIR)}),
        (f"{PAIR}:more", {"authorization": basic(f"{PAIR}:more")}),
        (f"{SECRET}:more", {"authorization": basic(f"matchback:{SECRET}:more")}),
        (SECRET, {"authorization": f"Bearer {SECRET}"}),
        (SECRET, {"authorization": f" bEARER   {SECRET} "}),
        (SECRET, {"authorization": basic(PAIR).replace("Basic", "BASIC")}),
        (SECRET, {"x_webhook_secret": SECRET}),
        (SECRET, {"x_webhook_secret": SECRET, "authorization": basic("another:system's")}),
        (SECRET, {"x_webhook_secret": "another", "authorization": f"Bearer {SECRET}"}),
    ],
)
def test_the_credential_is_found_where_the_provider_sends_it(
    credential: str, headers: dict[str, str]
) -> None:
    assert CREDENTIAL_SCHEME.is_authentic(credential, send(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Basic"},
        {"authorization": "Bearer"},
        {"authorization": SECRET},
        {"authorization": f"Basic {SECRET}"},
        {"authorization": f"Token {SECRET}"},
        {"authorization": f"Bearer {SECRET[:-1]}"},
        {"authorization": f"Bearer {SECRET}x"},
        {"authorization": f"Bearer {SECRET},Bearer {SECRET}"},
        {"authorization": f"{basic(PAIR)}, {basic(PAIR)}"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic é"},
        {"authorization": "Basic QQ"},
        {"authorization": basic(PAIR)[:-3]},
        {"authorization": basic(f"{SECRET}:matchback")},
        {"authorization": basic(b"\xff\xfe:" + SECRET.encode() + b"\xff")},
        {"authorization": "Bearer \udcff"},
        {"authorization": "Bearer é"},
        {"x_webhook_secret": ""},
        {"x_webhook_secret": f"{SECRET},{SECRET}"},
        {"x_webhook_secret": SECRET.upper()},
        {"x_webhook_secret": "\udcff"},
        {"x_other_secret": SECRET},
    ],
)
def test_every_other_request_is_not_authentic(headers: dict[str, str]) -> None:
    assert CREDENTIAL_SCHEME.is_authentic(SECRET, send(**headers)) is False


def test_another_user_of_the_same_password_is_not_authentic() -> None:
    other = send(authorization=basic(f"charlie:{SECRET}"))
    assert not CREDENTIAL_SCHEME.is_authentic(PAIR, other)
    assert CREDENTIAL_SCHEME.is_authentic(SECRET, other)


def test_each_place_can_be_asked_alone() -> None:
    places = {
        is_basic_credential: send(authorization=basic(PAIR)),
        is_bearer_token: send(authorization=f"Bearer {SECRET}"),
        is_header_secret: send(x_webhook_secret=SECRET),
    }
    for is_sent in places:
        assert [one for one, request in places.items() if is_sent(SECRET, request)] == [is_sent]


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": basic("user:")}, {"authorization": "Bearer "}, {"x_webhook_secret": ""}],
)
def test_an_empty_credential_accepts_nothing(headers: dict[str, str]) -> None:
    assert not CREDENTIAL_SCHEME.is_authentic("", send(**headers))


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
@settings(max_examples=50)
def test_no_text_raises_an_error(credential: str, authorization: str, secret: str) -> None:
    for prefix in ("", "Basic ", "Bearer "):
        request = send(authorization=prefix + authorization, x_webhook_secret=secret)
        CREDENTIAL_SCHEME.is_authentic(credential, request)
        CREDENTIAL_SCHEME.is_authentic(credential + "\udcff", request)


@pytest.mark.parametrize(
    "text", [SECRET, PAIR, f":{SECRET}", "!" * MIN_SECRET_LENGTH, "~" * 255, f"{SECRET}:{SECRET}"]
)
def test_a_long_visible_text_is_a_credential(text: str) -> None:
    CREDENTIAL_SCHEME.check(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SECRET[:7],
        f"a-long-user-name:{SECRET[:7]}",
        f"{SECRET}:",
        f"{SECRET} more",
        f"{SECRET}\n",
        f"{SECRET}\0",
        f"{SECRET}é",
        f"{SECRET}\udcff",
        "x" * 256,
    ],
)
def test_another_text_is_rejected_with_a_reason(text: str) -> None:
    with pytest.raises(Unusable, match=r"^Must ") as error:
        CREDENTIAL_SCHEME.check(text)
    assert SECRET[:7] not in str(error.value)


def test_the_reference_names_each_header() -> None:
    assert set(CREDENTIAL_HEADERS) == {"Authorization", "X-Webhook-Secret"}
    assert CREDENTIAL_SCHEME.is_secret
