"""Requests to a provider, bounded in time and in size.

The provider is not trusted, because an organization's admin chooses it. There are no redirects, no
proxies, no cookies and no compression.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bson import ObjectId

from documents.errors import Unusable
from documents.outgoing.address_rules import is_allowed_address, is_in_networks
from documents.sign_on.provider_url import (
    find_provider_url_problem,
    list_allowed_http_networks,
    list_allowed_networks,
)
from documents.sign_on.rejections import SignOnReason, SignOnRejected
from documents.sign_on.request_slots import find_owner, take_slot
from documents.storage.process_cache import ProcessCache
from documents.values.strict_json import parse_json

FETCH_SECONDS = 5.0
MAX_FETCHED_BYTES = 512 * 1024
FAILURE_CACHE_SECONDS = 10.0
MAX_CACHED_FAILURES = 500
DEFAULT_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "connection": "close",
    "user-agent": "Matchback",
}


# Organization, method and URL. Otherwise, a provider could name endpoints of another one, and make
# them fail for everyone.
Attempt = tuple[ObjectId | None, str, str]
_failures: "ProcessCache[Attempt, SignOnReason]" = ProcessCache(
    FAILURE_CACHE_SECONDS, MAX_CACHED_FAILURES
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a provider."""

    status: int
    body: bytes = field(repr=False)

    def read_object(self) -> dict[str, Any]:
        """Return the JSON object in the body.

        Raises:
            SignOnRejected: the body is not a JSON object.
        """
        try:
            value = parse_json(self.body)
        except Unusable:
            raise SignOnRejected("provider_answer") from None
        if not isinstance(value, dict):
            raise SignOnRejected("provider_answer")
        return value


def fetch_object(url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON object at a URL.

    Raises:
        SignOnRejected: the provider does not answer in time with status 200 and a JSON object.
    """
    answer = send_request("GET", url, headers)
    if answer.status != 200:
        raise SignOnRejected("provider_answer")
    return answer.read_object()


def send_request(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answer:
    """Send a request, and return the answer, which can report an error of the client (4xx).

    Strangers can cause requests. So a failure counts for ten seconds, without another request.

    Raises:
        SignOnRejected: the URL is not allowed. Or the provider does not answer in time, sends too
            much, redirects, or reports an error of its own.
    """
    if find_provider_url_problem(url):
        raise SignOnRejected("provider_address")
    attempt = (find_owner(), method, url)
    _check_recent_failure(attempt)
    with take_slot():
        _check_recent_failure(attempt)  # another request can fail while this one waits
        try:
            return _connect(method, url, {**DEFAULT_HEADERS, **(headers or {})}, body)
        except SignOnRejected as rejected:
            if rejected.reason != "provider_busy":
                _failures.put(attempt, rejected.reason)
            raise


def forget_failure(url: str) -> None:
    """Forget that the present organization's request to a URL has failed."""
    _failures.forget((find_owner(), "GET", url))


def forget_failures() -> None:
    """Forget all failures."""
    _failures.clear()


def _check_recent_failure(attempt: Attempt) -> None:
    if reason := _failures.get(attempt):
        raise SignOnRejected(reason)


def _connect(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    # Loaded on first use, because most processes never sign anyone in through a provider.
    import httpcore

    from documents.sign_on.connection import BlockedAddress

    try:
        return _send(method, url, headers, body)
    except BlockedAddress:
        raise SignOnRejected("provider_address") from None
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError):
        raise SignOnRejected("provider_unavailable") from None


def _send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    import httpcore

    from documents.sign_on.connection import CheckedBackend, Deadline

    if url.startswith("http:"):
        loopback = list_allowed_http_networks()
        backend = CheckedBackend(Deadline(FETCH_SECONDS), lambda one: is_in_networks(one, loopback))
    else:
        private = list_allowed_networks()
        backend = CheckedBackend(
            Deadline(FETCH_SECONDS), lambda one: is_allowed_address(one, private)
        )
    with httpcore.ConnectionPool(
        _make_tls_context(), max_connections=1, network_backend=backend
    ) as pool:
        sent = list(headers.items())
        with pool.stream(method, url, headers=sent, content=body or None) as response:
            if problem := _find_status_problem(response.status):
                raise SignOnRejected(problem)
            return Answer(response.status, _read_body(response))


def _find_status_problem(status: int) -> SignOnReason | None:
    if status >= 500 or status == 429:
        return "provider_unavailable"
    return "provider_answer" if not (200 <= status < 300 or 400 <= status < 500) else None


def _read_body(response: Any) -> bytes:
    content = bytearray()
    for part in response.iter_stream():
        content += part
        if len(content) > MAX_FETCHED_BYTES:
            raise SignOnRejected("provider_answer")
    return bytes(content)


@cache
def _make_tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()
