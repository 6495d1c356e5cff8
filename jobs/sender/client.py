"""The HTTP client of the sender. It does not trust the receivers.

The address of each new connection is checked immediately before the connection, so a name that
changes its address cannot reach a private network. There are no redirects, no proxies and no
cookies. Time and size of a response are limited.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from documents.outgoing.address_rules import IPNetwork, is_allowed_address, is_in_networks
from documents.outgoing.attempts import Attempt
from documents.values.time import now
from jobs.sender.responses import (
    BlockedAddress,
    describe_failure,
    describe_status,
    is_disconnect,
    is_local_problem,
    read_retry_after,
)

ATTEMPT_SECONDS = 15.0
MAX_RESPONSE_BYTES = 64 * 1024
# Common servers close an idle connection after five seconds. It must not happen during a request.
KEEP_ALIVE_SECONDS = 2.0
DNS_CACHE_SECONDS = 10
DEFAULT_HEADERS = {
    "content-type": "application/json",
    "user-agent": "Matchback",
    "accept-encoding": "identity",
}
FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


class LocalProblem(Exception):
    """This machine cannot send now. The receiver is not at fault."""


class Client:
    """A pool of connections. A process has several, so that slow receivers delay no others.

    Args:
        networks: private networks whose addresses may receive events, also by http://.
        dns_threads: number of simultaneous DNS queries.
        attempt_seconds: time limit of a request and its response.
    """

    def __init__(
        self,
        networks: Iterable[IPNetwork],
        dns_threads: int,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        allowed = tuple(networks)
        self._seconds = attempt_seconds
        self._threads = ThreadPoolExecutor(dns_threads, "dns")
        self._https = self._open_session(lambda address: is_allowed_address(address, allowed))
        self._http = self._open_session(lambda address: is_in_networks(address, allowed))

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """Send a body. Return the result, also if it is a failure.

        Raises:
            LocalProblem: this machine cannot send now.
        """
        at, loop = now(), asyncio.get_running_loop()
        begun, response = loop.time(), _Response()
        error: BaseException | None = None
        try:
            async with asyncio.timeout(self._seconds):
                await self._request(url, headers, body, response)
        except FAILURES as failure:
            if is_local_problem(failure):
                raise LocalProblem(str(failure)) from failure
            error = failure
        seconds = loop.time() - begun
        if response.status is None:
            assert error is not None
            is_timeout = isinstance(error, TimeoutError)
            return Attempt(at, seconds, error=describe_failure(error), is_timeout=is_timeout)
        pause = read_retry_after(response.retry_after, at)
        problem = describe_status(response.status)
        return Attempt(at, seconds, response.status, problem, retry_after=pause)

    async def close(self) -> None:
        """Close all connections."""
        await self._https.close()
        await self._http.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _request(
        self, url: str, headers: Mapping[str, str], body: bytes, response: "_Response"
    ) -> None:
        """Send the request, again at once if the receiver has closed an idle connection."""
        session = self._http if url.lower().startswith("http:") else self._https
        try:
            await response.read(session, url, headers, body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if response.status is not None or not is_disconnect(error):
                raise
            await response.read(session, url, headers, body)

    def _open_session(self, is_allowed: Callable[[Any], bool]) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # the lanes limit requests
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            ttl_dns_cache=DNS_CACHE_SECONDS,
            resolver=_Resolver(self._threads),
            socket_factory=lambda info: _open_socket(info, is_allowed),
            ssl=ssl.create_default_context(),
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers=DEFAULT_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            auto_decompress=False,
            trust_env=False,
        )


class _Response:
    """The part of a response that counts. It is known as soon as the headers have arrived."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after: str | None = None

    async def read(
        self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Read the status, and a bounded part of the body, so that the connection stays usable."""
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            self.status = response.status
            self.retry_after = response.headers.get("retry-after")
            size = 0
            async for part in response.content.iter_any():
                size += len(part)
                if size > MAX_RESPONSE_BYTES:
                    response.close()
                    return


class _Resolver(AbstractResolver):
    """The system's resolver, in threads of its own, because a query can hang for half a minute."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, resolve_host, host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Keep the threads. Both sessions of a client use them."""


def resolve_host(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
    """Return the addresses of a host, as `socket.getaddrinfo` does."""
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
    return list(found)


def _open_socket(info: Any, is_allowed: Callable[[Any], bool]) -> socket.socket:
    """Open a socket for exactly this address, if it may receive events.

    Raises:
        BlockedAddress: it may not.
    """
    family, kind, protocol, _, address = info
    if not is_allowed(ip_address(address[0])):
        raise BlockedAddress("not a public address")
    return socket.socket(family, kind, protocol)
