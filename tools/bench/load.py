"""HTTP load from a fixed number of clients. Each waits for its response.

It uses one thread, and no library that would take more processor time than the service under load.
It builds the requests beforehand, and reads only the status and length of each response.
"""

import selectors
import socket
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHUNK_BYTES = 65_536
HANG_TIMEOUT_SECONDS = 60


@dataclass
class LoadResult:
    """Result of a load.

    `seconds` lists the duration of each request, in the order of the responses.
    """

    took: float = 0.0
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.seconds) / self.took

    def percentile(self, percent: int) -> float:
        """Return the milliseconds within which this percentage of the requests were answered."""
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1] * 1000


def build_request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return the bytes of a POST request with JSON."""
    given = {"Host": "bench", "Content-Type": "application/json", **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class _Client:
    """A connection that sends a request and reads the response."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = 0.0
        self._came = b""

    def send(self, message: bytes) -> None:
        self._came = b""
        self.begun = time.perf_counter()
        self.socket.sendall(message)

    def read(self) -> int | None:
        """Return the status after the whole response has arrived, and None until then."""
        chunk = self.socket.recv(CHUNK_BYTES)
        if not chunk:
            raise ConnectionError("the service closed the connection")
        self._came += chunk
        head, end, body = self._came.partition(b"\r\n\r\n")
        if not end:
            return None
        _, _, rest = head.lower().partition(b"content-length:")
        wanted = int(rest.partition(b"\r\n")[0] or 0)
        return int(head[9:12]) if len(body) >= wanted else None


def apply_load(url: str, clients: int, requests: Iterator[bytes]) -> LoadResult:
    """Send all requests, with a limit on the number of concurrent ones.

    Raises:
        ConnectionError: the service closed a connection, or stopped responding.
    """
    parts = urlsplit(url)
    load, begun = LoadResult(), time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for message in (next(requests, None) for _ in range(clients)):
            if message is not None:
                client = _Client(parts.hostname or "", parts.port or 80)
                selector.register(client.socket, selectors.EVENT_READ, client)
                client.send(message)
        while selector.get_map():
            ready = selector.select(HANG_TIMEOUT_SECONDS)
            if not ready:
                raise ConnectionError(f"no answer within {HANG_TIMEOUT_SECONDS} s")
            for key, _ in ready:
                _go_on(selector, key.data, load, requests)
    load.took = time.perf_counter() - begun
    return load


def _go_on(
    selector: selectors.BaseSelector, client: _Client, load: LoadResult, requests: Iterator[bytes]
) -> None:
    status = client.read()
    if status is None:
        return
    load.statuses[status] += 1
    load.seconds.append(time.perf_counter() - client.begun)
    message = next(requests, None)
    if message is None:
        selector.unregister(client.socket)
        client.socket.close()
    else:
        client.send(message)
