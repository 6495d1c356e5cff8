"""Measure requests while connections stall in every known way."""

import argparse
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

from tools.testbed.cast import UNKNOWN_ID, University, create_university
from tools.testbed.stack import NO_RATE_LIMITS, run_stack

POST_HEAD = b"POST /v1/donations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
WEBHOOK_HEAD = f"POST /v1/webhooks/sendgrid/{UNKNOWN_ID} HTTP/1.1\r\nHost: x\r\n".encode()
IMPORT_HEAD = (
    b"POST /v1/emails/import HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
)
WHOLE_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
STALLED_REQUESTS = {
    "nothing sent": b"",
    "half a request line": b"GET /v1/us",
    "half a head": POST_HEAD,
    "half a body": POST_HEAD + b"Content-Length: 100\r\n\r\n{",
    "half a webhook": WEBHOOK_HEAD + b"Content-Length: 1000000\r\n\r\n[" + b" " * 1000,
    "endless chunks": WEBHOOK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[    \r\n",
    "continue expected, nothing sent": WEBHOOK_HEAD
    + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    "too large, without a key": IMPORT_HEAD + b"Content-Length: 99999999\r\n\r\n{",
    "chunks, without a key": IMPORT_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{    \r\n",
    "a second half": WHOLE_REQUEST + POST_HEAD + b"Content-Length: 100\r\n\r\n{",
    "garbage, then nothing": b"\x16\x03\x01\x02",
    "rejected, and not closed": b"GARBAGE\r\n\r\n",
    "a long response, not read": b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
}
ROUND_COUNT, GIFTS_A_ROUND = 5, 60


@contextmanager
def stall_connections(url: str, number: int) -> Iterator[None]:
    """Open stalled connections of each kind in turn. Each sends a part of a request, then stops."""
    port = urlsplit(url).port
    with ExitStack() as held:
        for part in islice(cycle(STALLED_REQUESTS.values()), number):
            connection = held.enter_context(socket.socket())
            # A long response must not fit into the receive window.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", port))
            connection.sendall(part)
        yield


def time_gifts(place: University, fundraiser: str, number: int = GIFTS_A_ROUND) -> list[float]:
    """Send gifts one by one, each over a new connection, and return the milliseconds of each."""
    took = []
    for _ in range(number):
        begun = time.perf_counter()
        body = {"fundraiser_id": fundraiser, "amount": 100, "currency": "USD", "donor": DONOR}
        answer = place.call("POST", "/v1/donations", body, headers={"Connection": "close"})
        took.append((time.perf_counter() - begun) * 1000)
        assert answer.status == 201, answer.content
    return took


DONOR = {"name": "Bob", "email": "bob@example.edu"}


def measure_stalled_gifts(folder: Path) -> dict[int, list[float]]:
    """Return the milliseconds of gifts by the number of stalled connections, measured in turn."""
    took: dict[int, list[float]] = {0: [], 200: [], 1000: []}
    with run_stack(folder, NO_RATE_LIMITS) as stack:
        place = create_university("Slow clients", stack.api())
        fundraiser = place.fundraiser()
        time_gifts(place, fundraiser)  # warm up
        for _ in range(ROUND_COUNT):
            for number, values in took.items():
                with stall_connections(stack.url, number):
                    values.extend(time_gifts(place, fundraiser))
    return took


def main() -> int:
    """Print the durations. Return 1 if 200 stalled connections slow a gift by half or more."""
    with tempfile.TemporaryDirectory() as folder:
        took = measure_stalled_gifts(Path(folder))
    alone = statistics.median(took[0])
    for number, values in took.items():
        print(  # noqa: T201
            f"{number:5} stalled: median {statistics.median(values):.2f} ms, "
            f"p99 {statistics.quantiles(values, n=100)[-1]:.1f} ms, longest {max(values):.1f} ms, "
            f"ratio {statistics.median(values) / alone:.2f}"
        )
    return 1 if statistics.median(took[200]) / alone > 1.5 else 0


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(main())
