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
    "chunks without end": WEBHOOK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[    \r\n",
    "leave asked, nothing sent": WEBHOOK_HEAD
    + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    "too large, and no key": IMPORT_HEAD + b"Content-Length: 99999999\r\n\r\n{",
    "chunks, and no key": IMPORT_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{    \r\n",
    "a second half": WHOLE_REQUEST + POST_HEAD + b"Content-Length: 100\r\n\r\n{",
    "garbage, and then nothing": b"\x16\x03\x01\x02",
    "refused, and not closed": b"GARBAGE\r\n\r\n",
    "a long answer, not taken": b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
}
ROUND_COUNT, GIFTS_A_ROUND = 5, 60


@contextmanager
def stall_connections(url: str, number: int) -> Iterator[None]:
    """So many connections, of each kind in turn, that send a part of a request and no more."""
    port = urlsplit(url).port
    with ExitStack() as held:
        for part in islice(cycle(STALLED_REQUESTS.values()), number):
            connection = held.enter_context(socket.socket())
            # So small a window that a long answer does not fit into it.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", port))
            connection.sendall(part)
        yield


def time_gifts(place: University, fundraiser: str, number: int = GIFTS_A_ROUND) -> list[float]:
    """Milliseconds of each gift, one after the other, each over a connection of its own."""
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
    """Milliseconds of gifts, by how many connections are stalled meanwhile; in turn."""
    took: dict[int, list[float]] = {0: [], 200: [], 1000: []}
    with run_stack(folder, NO_RATE_LIMITS) as stack:
        place = create_university("Slow clients", stack.api())
        fundraiser = place.fundraiser()
        time_gifts(place, fundraiser)  # warm
        for _ in range(ROUND_COUNT):
            for number, values in took.items():
                with stall_connections(stack.url, number):
                    values.extend(time_gifts(place, fundraiser))
    return took


def main() -> int:
    """Print what gifts took; exit code 1 when 200 stalled connections make it 1.5 times that."""
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
