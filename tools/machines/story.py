"""A site at work, and the responses that its clients received."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import mongoengine
from bson import ObjectId
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mongoengine import get_db

from documents.matching import user_changes
from documents.storage.marks import DUE_FILTER
from service.local.supervisor import Part
from tools.machines.network import Network
from tools.machines.site import CLIENTS_HOST, WEB_NAMES, WORKER_NAMES, Site
from tools.testbed.cast import Api, University, create_university
from tools.testbed.stack import connect_to_cluster, wait_until

EMAIL_COUNT = 30
DUE_FILTERS = {
    **dict.fromkeys(("donations", "emails", "mailings", "deliveries", "late_touches"), DUE_FILTER),
    "users": user_changes.REMATCH_DUE_FILTER,
}
RequestLine = dict[str, Any]


@dataclass
class Story:
    """The site, Alice's university on it, and the file in which the clients log their responses."""

    site: Site
    alice: University
    told: Path
    _read: list[RequestLine] = field(default_factory=list)
    _offset: int = 0

    def lines(self, since: float = 0.0) -> list[RequestLine]:
        """Return the log lines of the requests that began after this time."""
        with self.told.open() as told:
            told.seek(self._offset)
            text, _, _ = told.read().rpartition("\n")
        if text:
            self._offset += len(text) + 1
            self._read += map(json.loads, text.split("\n"))
        return [line for line in self._read if line["began"] >= since]

    def wait_for_requests(self, requests: int = 15) -> None:
        """Wait until the service has acknowledged this many more requests."""
        since = time.time()
        wait_until(
            lambda: len(list_acknowledged(self.lines(since))) >= requests, "clients being served"
        )

    def wait_until_used(self, name: str) -> None:
        """Wait until the balancer uses this web host."""
        since = time.time()

        def hosts() -> set[str]:
            return {line["host"] for line in list_acknowledged(self.lines(since))}

        wait_until(lambda: name in hosts(), f"requests to {name}")

    def wait_until_unused(self, name: str) -> None:
        """Wait until the balancer stops using this web host, and its requests are complete."""

        def quiet() -> bool:
            lines = [
                line for line in self.lines(time.time() - 5) if line["ended"] > time.time() - 1
            ]
            return bool(lines) and name not in {line["host"] for line in lines}

        wait_until(quiet, f"no request to {name}")

    def wait_until_settled(self) -> None:
        """Wait until the gifts acknowledged so far are settled. More arrive all the time."""
        ids = [ObjectId(line["id"]) for line in self.lines() if "id" in line]
        query = {**DUE_FILTER, "_id": {"$in": ids}}
        wait_until(lambda: not get_db().donations.count_documents(query), "settling")


def list_acknowledged(lines: list[RequestLine]) -> list[RequestLine]:
    """Return the acknowledged requests."""
    return [line for line in lines if line["status"] in (200, 201, 202)]


@contextmanager
def run_story(folder: Path) -> Iterator[Story]:
    """Start a site with clients at work, and connect this process to it."""
    with Network() as network:
        site = Site(folder, network)
        try:
            site.start_servers()
            connect_to_cluster(site.uri)
            for name in (*WEB_NAMES, *WORKER_NAMES):
                site.start(name)
            with httpx.Client(base_url=site.urls[WEB_NAMES[0]], timeout=30) as http:
                story = _prepare(site, http)
            yield story
        finally:
            mongoengine.disconnect_all()
            site.stop()


def _prepare(site: Site, http: httpx.Client) -> Story:
    alice = create_university("Alice's University", Api.over_http(http))
    alice.set_webhook_key()
    fundraisers = [alice.fundraiser(name) for name in ("Spring", "Autumn", "Winter")]
    emails = []
    for number in range(EMAIL_COUNT):
        user = {"name": f"Person {number}", "email": f"person{number}@example.edu"}
        where = fundraisers[number % len(fundraisers)]
        emails.append({"id": alice.email(where, user), "fundraiser_id": where, "user": user})
    pem = alice.signing_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    what = {
        "urls": site.urls,
        "organization": alice.id,
        "key": alice.key,
        "signing_key": pem.decode(),
        "emails": emails,
    }
    plan, told = site.folder / "clients.json", site.folder / "told.jsonl"
    plan.write_text(json.dumps(what))
    command = [sys.executable, "-m", "tools.machines.clients", str(plan), str(told)]
    site.supervisor.start(
        Part(
            CLIENTS_HOST,
            site.host(CLIENTS_HOST).inside(command),
            site.folder / "clients.log",
            ready=lambda: told.exists() and bool(told.read_text()),
        )
    )
    return Story(site, alice, told)
