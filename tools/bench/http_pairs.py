"""Compare this service with another checkout or worker class, in alternating pairs.

Each result is the ratio of the second service to the first in the same pair, because other programs
may share the machine: `python -m tools.bench.http_pairs --before ../main --pairs 5`.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psutil

from service.local import servers
from service.local.supervisor import Part
from tools.bench.slow_clients import stall_connections
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.stack import NO_RATE_LIMITS, Servers, run_servers, wait_until

CLIENT_COUNT = 16
RATE_SECONDS = 3.0
CHUNK_COUNT = 2_000_000
GIFT_TEMPLATE = b'{"fundraiser_id":"%s","amount":100,"currency":"USD","donor":%s}'


@dataclass
class Service:
    """One of the two services: gunicorn on the same database."""

    name: str
    part: Part
    port: int

    def processes(self) -> list[psutil.Process]:
        assert self.part.process
        return psutil.Process(self.part.process.pid).children()

    def cpu_seconds(self) -> float:
        times = [one.cpu_times() for one in self.processes()]
        return sum(each.user + each.system for each in times)


def start_service(
    started: Servers, uri: str, folder: Path, name: str, checkout: Path, more: str
) -> Service:
    """Start gunicorn of a checkout, with more arguments of its command line."""
    port = servers.find_free_port()
    python = checkout / ".venv/bin/python"
    command = ["env", "--chdir", str(checkout), str(python), "-m", "gunicorn"]
    command += ["-c", str(checkout / "gunicorn.conf.py")]
    environment = {
        **NO_RATE_LIMITS,
        "MATCHBACK_MONGODB_URI": uri,
        "MATCHBACK_REDIS_URL": started.redis_url,
        "MATCHBACK_PORT": str(port),
        "MATCHBACK_LOG_LEVEL": "warning",
        "GUNICORN_CMD_ARGS": more,
    }

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    part = Part(name, command, folder / f"{name}.log", environment, ready=answers)
    started.supervisor.start(part)
    time.sleep(1)  # for the second process
    return Service(name, part, port)


def send_request(connection: socket.socket, data: bytes) -> bytes:
    """Send a request, and return the head of the response. Content-Length gives the body's size."""
    connection.sendall(data)
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head


def measure_rate(service: Service, data: bytes, status: bytes) -> float:
    """Return the requests per second of sixteen clients that keep their connections."""
    until, counts = time.monotonic() + RATE_SECONDS, [0] * CLIENT_COUNT

    def ask(number: int) -> None:
        with socket.create_connection(("127.0.0.1", service.port), 30) as connection:
            while time.monotonic() < until:
                if send_request(connection, data)[9:12] != status:
                    return
                counts[number] += 1

    _together(ask)
    return sum(counts) / RATE_SECONDS


def count_lost_requests(service: Service, data: bytes) -> tuple[int, int]:
    """Restart processes in turn under load. Return how many requests were lost, and how many sent.

    A request is lost if its connection closes without a response, unless the previous response had
    `Connection: close`.
    """
    is_over, asked, lost = threading.Event(), [0] * CLIENT_COUNT, [0] * CLIENT_COUNT

    def ask(number: int) -> None:
        connection = None
        while not is_over.is_set():
            asked[number] += 1
            what = "connecting" if connection is None else "a kept connection"
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", service.port), 30)
                if b"connection: close" in send_request(connection, data).lower():
                    connection.close()
                    connection = None
            except OSError as error:
                _say(f"  lost at {what}: {error!r}")
                lost[number] += 1
                connection = None

    def restart() -> None:
        assert service.part.process
        for _ in range(3):
            before = {one.pid for one in service.processes()}
            os.kill(service.part.process.pid, signal.SIGHUP)
            wait_until(partial(_are_gone, service, before), "new processes")
            time.sleep(1)
        is_over.set()

    threading.Thread(target=restart).start()
    _together(ask)
    return sum(lost), sum(asked)


def _are_gone(service: Service, processes: set[int]) -> bool:
    return not processes & {one.pid for one in service.processes()}


def measure_chunks(service: Service, number: int) -> float:
    """Return the processor seconds for a body of this many one-byte chunks, without a key."""
    before = service.cpu_seconds()
    head = b"POST /v1/donations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", service.port), 300) as connection:
        try:
            connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            connection.sendall(b"1\r\n \r\n" * number + b"0\r\n\r\n")
            connection.recv(65536)
        except OSError:  # the server closed the connection at the limit
            pass
    time.sleep(0.2)
    return service.cpu_seconds() - before


def measure_longest_ready(service: Service, number: int) -> float:
    """Return the longest of 50 `/readyz` requests while connections stall, in milliseconds."""
    took = []
    with stall_connections(f"http://127.0.0.1:{service.port}", number):
        for _ in range(50):
            began = time.perf_counter()
            httpx.get(f"http://127.0.0.1:{service.port}/readyz", timeout=60)
            took.append((time.perf_counter() - began) * 1000)
    return max(took)


def _together(act: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=act, args=(number,)) for number in range(CLIENT_COUNT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def run_both(before: Path, more: str) -> Iterator[tuple[Service, Service, University]]:
    """Start both services, and create an organization."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with run_servers(folder) as (started, uri):
            first = start_service(started, uri, folder, "before", before, "")
            second = start_service(started, uri, folder, "now", Path(__file__).parents[2], more)
            with httpx.Client(base_url=f"http://127.0.0.1:{first.port}", timeout=30) as http:
                yield first, second, create_university("Pairs", Api.over_http(http))


def main() -> int:
    """Print each figure of both services, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, default=Path(__file__).parents[2])
    parser.add_argument(
        "--gunicorn",
        dest="gunicorn",
        default="",
        help="more arguments for the gunicorn of this checkout",
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", default="post,get,stalled,chunks,restart")
    given = parser.parse_args()
    with run_both(given.before.resolve(), given.gunicorn) as (first, second, place):
        body = GIFT_TEMPLATE % (place.fundraiser().encode(), json.dumps(BOB).encode())
        key = f"Authorization: Bearer {place.key}\r\n".encode()
        post = b"POST /v1/donations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + key
        post += b"Content-Length: %d\r\n\r\n" % len(body) + body
        get = b"GET /v1/organization HTTP/1.1\r\nHost: x\r\n" + key + b"\r\n"
        kinds: dict[str, Callable[[Service], float]] = {
            "post": lambda one: measure_rate(one, post, b"201"),
            "get": lambda one: measure_rate(one, get, b"200"),
        }
        for name, measure in kinds.items():
            if name in given.only:
                _tell(name, measure, first, second, given.pairs)
        if "stalled" in given.only:
            for number in (200, 1000):
                for one in (first, second):
                    took = measure_longest_ready(one, number)
                    _say(f"{one.name}: readyz with {number} stalled {took:.0f} ms")
        if "chunks" in given.only:
            for number in (100_000, 333_333, CHUNK_COUNT):
                for one in (second, first) if number == 100_000 else (second,):
                    _say(f"{one.name}: {number} chunks {measure_chunks(one, number):.2f} s")
        if "restart" in given.only:
            for one in (first, second):
                lost, asked = count_lost_requests(one, get)
                _say(f"{one.name}: lost {lost} of {asked} requests at three restarts")
    return 0


def _tell(
    name: str, measure: Callable[[Service], float], first: Service, second: Service, pairs: int
) -> None:
    measure(first), measure(second)  # warm up
    ratios = []
    for _ in range(pairs):
        before, now = measure(first), measure(second)
        ratios.append(now / before)
        _say(f"{name}: before {before:.0f}/s, now {now:.0f}/s, ratio {now / before:.2f}")
    _say(f"{name}: median ratio {statistics.median(ratios):.2f}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
