"""A CRM that receives events, and is slow, wrong, silent or down at times.

It verifies each request, drops repeats and older versions, and keeps the last state of each record.
"""

import json
import random
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from service.local import servers

MOODS = {
    "accepts": 1000,
    "is slow": 20,
    "answers 500": 15,
    "asks for a pause": 5,
    "drops the request": 10,
    "drops its answer": 15,
    "hangs": 1,
}
MAX_SLOW_SECONDS = 3.0
HANG_SECONDS = 18.0  # longer than the sender waits
# Bodies take these from the current record, so that they change if a person is erased.
PERSONAL_FIELDS = ("donor", "address", "external_id", "recurring_id")


class ChaosReceiver:
    """A receiver on its own threads.

    Attributes:
        known: the data of the last event of each record, by ID, with its type and version.
        findings: events that no correct sender sends.
        moods: number of requests by their treatment.
    """

    def __init__(self, seed: int) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.types: dict[str, set[str]] = {}
        self.findings: list[str] = []
        self.moods: Counter[str] = Counter()
        self.accepted = self.repeated = self.outdated = 0
        self.is_calm = False
        self._secret = ""
        self._contents: dict[tuple[str, int], str] = {}
        self._guard, self._outage = threading.Lock(), threading.Lock()
        self._chance = random.Random(seed)
        self.port = servers.find_free_port()
        self._server = self._listen()

    @property
    def url(self) -> str:
        return f"http://{servers.LOOPBACK_ADDRESS}:{self.port}/crm"

    def trust(self, secret: str) -> None:
        """Accept requests with this signing secret."""
        self._secret = secret

    def go_down(self, seconds: float) -> None:
        """Accept no connections for some time."""
        with self._outage:
            self._server.shutdown()
            self._server.server_close()
            time.sleep(seconds)
            self._server = self._listen()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def choose_mood(self) -> str:
        """Return how to treat the next request."""
        with self._guard:
            names, weights = zip(*MOODS.items(), strict=True)
            mood: str = "accepts" if self.is_calm else self._chance.choices(names, weights)[0]
            self.moods[mood] += 1
            return mood

    def take(self, body: bytes, headers: dict[str, str]) -> bool:
        """Store an event. Return False if its signature is not valid."""
        try:
            event: Any = Webhook(self._secret).verify(body.decode(), headers)
        except WebhookVerificationError as error:
            self.findings.append(f"receiver: a bad signature ({error})")
            return False
        with self._guard:
            if headers["webhook-id"] != event["id"]:
                self.findings.append(f"receiver: {headers['webhook-id']} is not {event['id']}")
            self._keep(event)
        return True

    def describe(self) -> str:
        """Return the numbers of requests by their treatment."""
        moods = ", ".join(f"{mood} {times}" for mood, times in sorted(self.moods.items()))
        return f"{self.repeated} repeats, {self.outdated} older versions; {moods}"

    def _keep(self, event: dict[str, Any]) -> None:
        id_, version = event["data"]["id"], event["version"]
        data = {name: of for name, of in event["data"].items() if name not in PERSONAL_FIELDS}
        content = json.dumps([event["id"], event["type"], data], sort_keys=True)
        before = self._contents.setdefault((id_, version), content)
        self.accepted += 1
        if before != content:
            self.findings.append(f"receiver: {id_} version {version}: {before} and {content}")
        self.types.setdefault(id_, set()).add(event["type"])
        last = self.known.get(id_)
        if last is None or version > last["version"]:
            self.known[id_] = {**event["data"], "type": event["type"], "version": version}
        elif version == last["version"]:
            self.repeated += 1
        else:
            self.outdated += 1

    def _listen(self) -> ThreadingHTTPServer:
        receiver = self

        class Handler(_Handler):
            crm = receiver

        server = _Server((servers.LOOPBACK_ADDRESS, self.port), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing, because the sender is killed while it sends."""


class _Handler(BaseHTTPRequestHandler):
    crm: ChaosReceiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        mood = self.crm.choose_mood()
        if mood == "is slow":
            time.sleep(random.uniform(0, MAX_SLOW_SECONDS))
        elif mood == "hangs":
            time.sleep(HANG_SECONDS)
        if mood == "drops the request":
            self._hang_up()
        elif mood in ("answers 500", "asks for a pause"):
            self._answer(500 if mood == "answers 500" else 503)
        elif not self.crm.take(body, headers):
            self._answer(401)
        elif mood == "drops its answer":
            self._hang_up()
        else:
            self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
