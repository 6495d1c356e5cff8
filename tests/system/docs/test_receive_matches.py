"""The receiver of "Receive matches in your CRM", run from the page, against a real sender."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config.settings import get_settings
from documents.outgoing.bodies import build_bodies
from documents.outgoing.event_delivery import EventDelivery
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.values.time import now
from jobs.sender.lanes import open_lanes
from jobs.sender.sender import Sender
from service.local import servers
from tools.docs.blocks import read_blocks
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.coroutines import run_coroutine
from tools.testbed.settled import settle_all
from tools.testbed.stack import wait_until

PAGE = "how-to/receive-matches.md"
REFERENCE_PAGE = "reference/events.md"
SENT = "2026-11-01T00:00:00Z"
WAIT_SECONDS = 30


class Crm:
    """The reader's program, as a process."""

    def __init__(self, folder: Path) -> None:
        self.port = servers.find_free_port()
        self.url = f"http://{servers.LOOPBACK_ADDRESS}:{self.port}/matchback"
        self.folder = folder
        block = next(one for one in read_blocks(PAGE) if one.title == "receiver.py")
        (folder / "receiver.py").write_text(block.text)

    @contextmanager
    def run(self, secret: str) -> Iterator[None]:
        environment = {"WEBHOOK_SECRET": secret, "PORT": str(self.port)}
        process = subprocess.Popen(
            [sys.executable, "receiver.py"],
            cwd=self.folder,
            env=os.environ | environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(self._answers, "the receiver")
            yield
        finally:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.post(self.url, content=b"{}").status_code == 401
        except httpx.TransportError:
            return False

    def read(self, id_: str) -> Any:
        with closing(sqlite3.connect(self.folder / "crm.db")) as stored:
            query = "SELECT version, type, data FROM records WHERE id = ?"
            return stored.execute(query, [id_]).fetchone()


@pytest.fixture
def crm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    monkeypatch.setenv("MATCHBACK_WEBHOOK_PRIVATE_NETWORKS", "127.0.0.0/8")
    get_settings.cache_clear()
    yield Crm(tmp_path)
    get_settings.cache_clear()


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def is_all_delivered() -> bool:
    return not EventDelivery.objects(delivered_at=None)


def send_until(condition: Callable[[], bool]) -> None:
    """Settle everything, and send until the condition is true."""
    settle_all()
    run_coroutine(_send(condition))


async def _send(condition: Callable[[], bool]) -> None:
    stopping, lanes = asyncio.Event(), open_lanes(get_settings().webhook_private_networks, 16)
    sending = asyncio.create_task(Sender(lanes).run(stopping, lambda: False))
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                await asyncio.sleep(0.02)
    finally:
        stopping.set()
        await sending
        await lanes.close()


def test_the_receiver_on_the_page_knows_the_last_state(alice: University, crm: Crm) -> None:
    endpoint, secret = WebhookEndpoint.add(ObjectId(alice.id), crm.url)
    spring = alice.fundraiser()
    first, second = alice.email(spring, sent_at=SENT), alice.email(spring, sent_at=SENT)
    with crm.run(secret):
        gift = alice.gift(spring, email_id=first)
        send_until(is_all_delivered)
        version, type_, data = crm.read(gift)
        assert (version, type_, json.loads(data)["email_id"]) == (1, "donation.matched", first)
        alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": second})
        send_until(is_all_delivered)
        alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 500})
        alice.deliver([make_event(first, "bounce", 1_793_500_000)])
        send_until(is_all_delivered)
        again = {"$set": {"next_attempt_at": now()}, "$unset": {"delivered_at": ""}}
        get_db().event_deliveries.update_many({"version": {"$lt": 3}}, again)
        send_until(is_all_delivered)
    version, type_, data = crm.read(gift)
    known = json.loads(data)
    assert (version, type_, known["email_id"]) == (3, "donation.refunded", second)
    assert known["refunded_amount"] == 500
    assert crm.read(first)[1] == "email.bounced"
    assert all(one.delivered_at for one in EventDelivery.objects(endpoint_id=endpoint.id))


def test_a_request_with_another_secret_stores_nothing(alice: University, crm: Crm) -> None:
    endpoint, _ = WebhookEndpoint.add(ObjectId(alice.id), crm.url)
    _, other = WebhookEndpoint.add(ObjectId(alice.id), crm.url, ["import.finished"])
    gift = alice.gift(alice.fundraiser())
    rejected = EventDelivery.objects(endpoint_id=endpoint.id, attempts__0__status=401)
    with crm.run(other):
        send_until(lambda: rejected.count() == 1)
    assert crm.read(gift) is None


def test_the_command_on_the_page_creates_an_endpoint(alice: University) -> None:
    command, answer = (one for one in read_blocks(PAGE) if one.language in ("sh", "json"))
    body = json.loads(command.text.partition("-d '")[2].rstrip().removesuffix("'"))
    told = alice.call("POST", "/v1/webhook-endpoints", body)
    assert told.status == 201
    shown = json.loads(answer.text)
    for name in ("id", "secret"):
        assert told.json[name].startswith(shown.pop(name).rstrip("…"))
    assert {name: told.json[name] for name in shown} == shown
    test = alice.call("POST", f"/v1/webhook-endpoints/{told.json['id']}/test")
    assert test.status in (200, 201, 202)


def test_the_page_names_routes_that_exist(alice: University) -> None:
    text = Path("docs", PAGE).read_text()
    document = alice.api.call("GET", "/openapi.json").json
    named = re.findall(r"`(GET|POST|PATCH) (/v1/[^?`]+)", text)
    assert len(named) >= 5
    for verb, path in named:
        assert verb.lower() in document["paths"][path], path


def test_the_reference_lists_every_event() -> None:
    page = Path("docs", REFERENCE_PAGE).read_text()
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert {*OUTGOING_EVENT_TYPES, "endpoint.test"} <= listed


def test_the_reference_shows_the_fields_of_a_real_event(alice: University, crm: Crm) -> None:
    WebhookEndpoint.add(ObjectId(alice.id), crm.url)
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    alice.gift(spring, email_id=alice.email(spring, mailing_id=mailing), external_id="gift-17")
    settle_all()
    (body,) = build_bodies(list(EventDelivery.objects))
    (block,) = (one for one in read_blocks(REFERENCE_PAGE) if one.language == "json")
    shown, real = json.loads(block.text), json.loads(body)
    assert shown.keys() == real.keys()
    assert shown["data"].keys() == real["data"].keys()
