"""Requests to Amazon's servers for certificates and confirmations, bounded in time and in size.

Callers check the URL first. A request follows no redirect. TLS is verified with the CA certificates
of the `certifi` package, or with those of `SSL_CERT_FILE`.
"""

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from documents.errors import ProviderUnavailable, Unusable

A = TypeVar("A", bound=Hashable)
T = TypeVar("T")
FETCH_SECONDS = 5.0  # SNS waits 15 s for an answer
MAX_FETCHED_BYTES = 64 * 1024
MAX_FETCH_THREADS = 4
MAX_PENDING_FETCHES = 16
# These statuses report a condition that can end. All other 4xx statuses are final.
TEMPORARY_STATUSES = frozenset({408, 425, 429})

# The name resolver and slow headers have no timeout for the whole request. So a thread of the pool
# sends the request, and the caller leaves it behind after 5 s.
_pool = ThreadPoolExecutor(MAX_FETCH_THREADS, "sns-fetch")
_pending: dict[tuple[Any, Hashable], "Future[Any]"] = {}
_guard = Lock()


class FetchQueueFull(ProviderUnavailable):
    """Too many requests to Amazon wait in this process."""


def fetch_in_time(load: Callable[[A], T], url: A) -> T:
    """Return what the function returns for the URL, within 5 s.

    Requests for the same URL at the same time share one call.

    Raises:
        ProviderUnavailable: the call takes longer.
        FetchQueueFull: too many calls wait.
        Unusable: from the function.
    """
    try:
        result: T = _share_call(load, url).result(FETCH_SECONDS)
    except TimeoutError:
        raise ProviderUnavailable("Amazon's server is slow") from None
    return result


def _share_call(load: Callable[[A], T], url: A) -> "Future[T]":
    name = (load, url)
    with _guard:
        if known := _pending.get(name):
            return known
        if len(_pending) >= MAX_PENDING_FETCHES:
            raise FetchQueueFull("too many requests to Amazon wait")
        task = _pending[name] = _pool.submit(load, url)
    # Outside of the lock, because a finished task calls the function at once.
    task.add_done_callback(lambda _: _forget_call(name))
    return task


def _forget_call(name: tuple[Any, Hashable]) -> None:
    with _guard:
        _pending.pop(name, None)


def fetch(url: str) -> bytes:
    """Return the content of a URL.

    Raises:
        ProviderUnavailable: the server does not answer, or answers that the condition can end.
        Unusable: the server answers with another status than 200, or with more than 64 kB.
    """
    # Load the package on first use, because most organizations do not use Amazon SES.
    import httpx

    deadline = time.monotonic() + FETCH_SECONDS
    try:
        with (
            httpx.Client(timeout=FETCH_SECONDS, follow_redirects=False) as client,
            # Without compression, so that the bound holds for what is sent.
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            _check_status(answer.status_code)
            content = bytearray()
            for chunk in answer.iter_raw():
                content += chunk
                if len(content) > MAX_FETCHED_BYTES:
                    raise Unusable("the answer is too long")
                if time.monotonic() > deadline:
                    raise ProviderUnavailable("Amazon's server is slow")
    except httpx.HTTPError as error:
        raise ProviderUnavailable(f"no answer: {type(error).__name__}") from None
    except httpx.InvalidURL:
        raise Unusable("not a URL") from None
    return bytes(content)


def _check_status(status: int) -> None:
    if status >= 500 or status in TEMPORARY_STATUSES:
        raise ProviderUnavailable(f"status {status}")
    if status != 200:
        raise Unusable(f"status {status}")
