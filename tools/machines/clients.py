"""`python -m tools.machines.clients WHAT LOG`: clients of the service on their own host.

Until SIGTERM, some clients send gifts and one posts opens, through a load balancer. A client
repeats a request until it is acknowledged. Each request becomes a line of the file LOG, with its
result, the host that responded, and the times.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tools.machines.balancer import ANSWER_TIMEOUT_SECONDS, CONNECT_TIMEOUT_SECONDS, Balancer
from tools.testbed.cast import make_event, sign_webhook

GIVER_COUNT = 4
REQUEST_PAUSE_SECONDS = 0.4
EVENTS_A_POST = 5
FIRST_EVENT_AT = 1_790_000_000
RETRY_TIMEOUT_SECONDS = 60
RequestStream = Iterator[tuple[str, str, bytes, dict[str, str]]]  # name, path, body, headers


class Clients:
    """All clients."""

    def __init__(self, what: dict[str, Any], told: TextIO) -> None:
        self.what = what
        self.balancer = Balancer(what["urls"])
        self._told = told
        self._guard = threading.Lock()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Run until SIGTERM, and complete the requests in progress."""
        signal.signal(signal.SIGTERM, lambda *_: self._stopping.set())
        self.balancer.start()
        works = [self._gifts(number) for number in range(GIVER_COUNT)]
        works.append(self._posts())
        # Every other client keeps its connections; the rest open a new one for each request.
        threads = [
            threading.Thread(target=self._work, args=(work, number % 2 == 0))
            for number, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        while not self._stopping.wait(0.1):
            pass
        for thread in threads:
            thread.join()
        self.balancer.stop()

    def _work(self, work: RequestStream, keeps: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=2 if keeps else 0)
        timeout = httpx.Timeout(ANSWER_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
        with httpx.Client(limits=limits, timeout=timeout) as http:
            for name, path, body, headers in work:
                deadline = time.monotonic() + RETRY_TIMEOUT_SECONDS
                while not self._send(http, name, path, body, headers):
                    if time.monotonic() > deadline:
                        return
                    time.sleep(REQUEST_PAUSE_SECONDS)
                if self._stopping.wait(REQUEST_PAUSE_SECONDS):
                    return

    def _send(
        self, http: httpx.Client, name: str, path: str, body: bytes, headers: dict[str, str]
    ) -> bool:
        line: dict[str, Any] = {"name": name, "began": time.time(), "host": "", "status": 0}
        try:
            passed = self.balancer.forward_request(http, path, body, headers)
        except httpx.HTTPError as error:
            line["error"] = repr(error)
        else:
            status = passed.answer.status_code
            line |= {"host": passed.host, "status": status}
            if status in (200, 201):
                line["id"] = passed.answer.json()["id"]
            elif status != 202:
                line["error"] = passed.answer.text[:200]
        line["ended"] = time.time()
        with self._guard:
            print(json.dumps(line), file=self._told, flush=True)
        return line["status"] in (200, 201, 202)

    def _gifts(self, giver: int) -> RequestStream:
        headers = {
            "Authorization": f"Bearer {self.what['key']}",
            "Content-Type": "application/json",
        }
        emails = self.what["emails"]
        number = 0
        while True:
            email = emails[(giver + GIVER_COUNT * number) % len(emails)]
            gift = {
                "fundraiser_id": email["fundraiser_id"],
                "amount": 100 + number % 50,
                "currency": "USD",
                "donor": email["user"],
                "email_id": email["id"],
                "external_id": f"gift {giver}-{number}",
            }
            number += 1
            yield gift["external_id"], "/v1/donations", json.dumps(gift).encode(), headers

    def _posts(self) -> RequestStream:
        key = load_pem_private_key(self.what["signing_key"].encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        emails = [email["id"] for email in self.what["emails"]]
        number = 0
        while True:
            events = [
                make_event(emails[one % len(emails)], "open", FIRST_EVENT_AT + one)
                for one in range(number * EVENTS_A_POST, (number + 1) * EVENTS_A_POST)
            ]
            body = json.dumps(events).encode()
            path = f"/v1/webhooks/sendgrid/{self.what['organization']}"
            yield f"post {number}", path, body, sign_webhook(key, body)
            number += 1


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w") as told:
        Clients(json.loads(Path(sys.argv[1]).read_text()), told).run()
