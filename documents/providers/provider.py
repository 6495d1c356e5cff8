"""Provider: what Matchback must know about one sender of webhooks. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from documents.providers.report import EventReport
from documents.values.json_items import count_items, read_items

# Keys whose form the provider does not document
OPAQUE_KEY_PATTERN = re.compile(r"[\x21-\x7e]{8,255}")
JSON_MEDIA_TYPE = "application/json"
MAX_POST_BYTES = 2 * 1024 * 1024
MAX_BATCH_BYTES = 10 * 1024 * 1024  # for providers whose batches have up to 1,000 events or more
EXAMPLE_EMAIL_ID = "674200000000000000000004"
EXAMPLE_FUNDRAISER_ID = "674200000000000000000001"


class WebhookRequest(NamedTuple):
    """A request as the provider sent it.

    Attributes:
        headers: values by header name in upper case.
        body: the raw body, without its content encoding.
        url: the public URL that the provider called, with its query.
    """

    headers: Mapping[str, str]
    body: bytes
    url: str = ""


@dataclass(frozen=True)
class AuthenticityScheme:
    """The keys of one provider, and the check that a request is authentic.

    Attributes:
        field: name of the key in the API.
        check: function that raises Unusable, with the reason, if a text is not a key. The text
            has no white space.
        is_authentic: function that returns whether the holder of a key sent the request. It
            compares in constant time. Whatever the request contains, it raises one error only:
            ProviderUnavailable if it needs a server of the provider that does not answer now.
        is_secret: whether the key must stay secret, so that it is stored sealed.
        example: a key for the API reference; empty if a usual secret is a key.
    """

    field: str
    check: Callable[[str], object]
    is_authentic: Callable[[str, WebhookRequest], bool]
    is_secret: bool = True
    example: str = ""


def keep_body(body: bytes) -> bytes:
    """Return the body of a provider that sends plain JSON."""
    return body


def read_no_events(organization: bytes, item: Any) -> Sequence[EventReport]:
    """Return no events, because the provider reports payments."""
    return ()


def send_no_challenge(request: WebhookRequest) -> None:
    """Return no challenge, because the provider sends its proof with each request."""


def is_no_url_check(request: WebhookRequest) -> bool:
    """Return False, because the provider does not check a new URL with a POST."""
    return False


@dataclass(frozen=True)
class Provider:
    """A provider, and how Matchback receives its requests.

    Attributes:
        name: identifier in URLs, and in stored deliveries and keys.
        label: name that people know.
        tag: heading in the API reference.
        sends: content of one request.
        kind: subject of its requests.
        headers: headers that carry the proof of authenticity, each with its content.
        scheme: keys and authenticity.
        example: a request's body for the API reference, as JSON or as text.
        setup: what to enter where at the provider, for the settings page.
        media_type: media type of its requests, for the API reference.
        max_body_bytes: maximum size of a request's body. MongoDB stores up to 16 MB in a record.
        find_challenge: function that returns the value of `WWW-Authenticate` for a 401, if the
            provider sends its credentials only after a challenge. It returns None for every other
            request. A challenged request does not count against the client's rate limit, because
            the provider sends each message in this way.
        is_url_check: function that returns whether the provider only checks a new URL. Anyone can
            send such a request, and the organization may have no key yet. Matchback accepts it and
            stores nothing.
        confirm: function that confirms a subscription at the provider, if the body asks for it.
            Matchback calls it with the body of an authentic request.
            Raises ProviderUnavailable if the provider does not confirm now.
        unwrap: function that returns the JSON of a body: one item, or an array of items. It
            removes a form or an envelope. Matchback stores this JSON.
            Raises Unusable if the body has no such JSON; Matchback then stores the raw body.
        read_events: function that reads one item of the JSON. Its first argument is the
            organization's ID in bytes. It returns an event for each recipient, and no event for
            a message about nothing that Matchback counts.
            Raises Unusable, with a reason without personal data, if the item is invalid.
        sign_test: function that returns a test request, signed with a key. Matchback stores it,
            and counts nothing. None if only the provider can sign.
    """

    name: str
    label: str
    tag: str
    sends: str
    kind: Literal["emails", "payments"]
    headers: Mapping[str, str]
    scheme: AuthenticityScheme
    example: Any
    setup: str = ""
    media_type: str = JSON_MEDIA_TYPE
    max_body_bytes: int = MAX_POST_BYTES
    find_challenge: Callable[[WebhookRequest], str | None] = send_no_challenge
    is_url_check: Callable[[WebhookRequest], bool] = is_no_url_check
    confirm: Callable[[bytes], None] | None = None
    unwrap: Callable[[bytes], bytes] = keep_body
    read_events: Callable[[bytes, Any], Sequence[EventReport]] = read_no_events
    sign_test: Callable[[str], WebhookRequest] | None = None


def parse_items(body: bytes) -> list[Any]:
    """Return the items of a stored body, unchecked. An item that is not valid JSON becomes None.

    Raises:
        Unusable: the body is neither a JSON array nor a JSON object.
    """
    return read_items(_as_array(body))


def count_body_items(body: bytes) -> int:
    """Return the number of items that `parse_items` returns, without reading each.

    Raises:
        Unusable: the body is neither a JSON array nor a JSON object.
    """
    return count_items(_as_array(body))


def _as_array(body: bytes) -> bytes:
    """Return the body as an array. Most providers send one object in each request."""
    stripped = body.strip()
    return b"[%b]" % body if stripped[:1] == b"{" and stripped[-1:] == b"}" else body
