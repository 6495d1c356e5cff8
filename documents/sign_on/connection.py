"""Connections to a provider. Each one has a deadline and reaches only allowed addresses.

The address is checked immediately before the connection, and the connection uses the address that
was checked. So a name that changes its address cannot reach a private network.
"""

import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import httpcore

from documents.outgoing.address_rules import IPAddress
from documents.sign_on.request_slots import LOOKUPS, MAX_LOOKUPS, find_owner

MAX_TRIED_ADDRESSES = 4
# The system's resolver can hang for half a minute, so the caller leaves its thread behind. The
# place of the lookup stays taken until then, so a lookup never waits for another one's thread.
_dns_threads = ThreadPoolExecutor(MAX_LOOKUPS, "sign-on-dns")


class BlockedAddress(Exception):
    """No address of the host may be reached."""


class Deadline:
    """The end of a request, for all of its connections, reads and writes."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def limit(self, seconds: float | None) -> float:
        """Return the seconds that are left, at most the given ones.

        Raises:
            ReadTimeout: none are left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("deadline")
        return left if seconds is None else min(left, seconds)


class CheckedBackend(httpcore.NetworkBackend):
    """Opens connections for one request."""

    def __init__(self, deadline: Deadline, is_allowed: Callable[[IPAddress], bool]) -> None:
        self._deadline = deadline
        self._is_allowed = is_allowed
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first allowed address of the host that answers.

        Raises:
            BlockedAddress: none of its addresses is allowed.
            ConnectError: none answers.
            SignOnRejected: the organization's earlier lookups have not ended.
        """
        found = self._resolve(host, port)
        allowed = [one for one in found if self._is_allowed(ip_address(one))]
        if not allowed:
            raise BlockedAddress
        error: Exception = httpcore.ConnectError("no address")
        for address in allowed[:MAX_TRIED_ADDRESSES]:
            try:
                seconds = self._deadline.limit(timeout)
                return _LimitedStream(
                    self._sockets.connect_tcp(address, port, seconds), self._deadline
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failure:
                error = failure
        raise error

    def _resolve(self, host: str, port: int) -> list[str]:
        owner = find_owner()
        LOOKUPS.take(owner)
        asked = _dns_threads.submit(resolve_host, host, port)
        asked.add_done_callback(lambda _: LOOKUPS.free(owner))
        try:
            return asked.result(self._deadline.limit(None))
        except TimeoutError:
            raise httpcore.ConnectTimeout("DNS") from None
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("DNS") from None


class _LimitedStream(httpcore.NetworkStream):
    """A connection whose operations end at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.limit(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        seconds = self._deadline.limit(timeout)
        tls = self._stream.start_tls(ssl_context, server_hostname, seconds)
        return _LimitedStream(tls, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of a host, without duplicates."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(one[4][0]) for one in found))
