"""The demo university: created once, stored in DIR/demo.json, and filled through the HTTP API."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from documents.access.api_key import ApiKey
from documents.organization import Organization
from documents.providers.sendgrid import SIGNATURE_HEADER, TIMESTAMP_HEADER
from matchback.client import Matchback, Unreachable
from matchback.records import NewArm
from matchback.transport import Transport
from service.local.demo.giving_day import PLAYED_DAY_SECONDS, TIME_LAPSE_FACTOR, DemoRecipient

SENT_COUNT, HELD_OUT_COUNT = 600, 200
RECIPIENT_COUNT = SENT_COUNT + HELD_OUT_COUNT
DEMO_ARMS: list[NewArm] = [
    {"name": "Email", "weight": 2},
    {"name": "No email", "weight": 1, "held_out": True},
]
CLIENT_THREADS = 8
SENDGRID_TIMEOUT_SECONDS, SENDGRID_RETRY_SECONDS = 10, 60
DEMO_MAILINGS = (("Today is the day", 12_000), ("Your class is ahead", 9_000))
FIRST_NAMES = (
    "Ada Ben Chloe David Elif Femi Grace Hugo Ines Jonas Kofi Lena Mina Noor Omar Priya".split()
)
LAST_NAMES = (
    "Abbott Brandt Castro Diaz Evans Fischer Garcia Haddad Ito Jensen Khan Lopez Moreau".split()
)


@dataclass
class DemoUniversity:
    """The state that the demo needs after a restart."""

    organization_id: str
    api_key: str
    signing_key: str
    sent_at: str
    fundraiser_id: str = ""
    mailing_id: str = ""  # of the mailing with an experiment
    recipients: list[dict[str, Any]] = field(default_factory=list)
    started_at: int = 0
    played: bool = False

    def save(self, data: Path) -> None:
        """Store the state. Only the owner can read the file, because it contains keys."""
        draft = data / "demo.json.new"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(data / "demo.json")

    @classmethod
    def load(cls, data: Path) -> "DemoUniversity | None":
        """Return the stored state, or None if the file is missing or damaged."""
        try:
            return cls(**json.loads((data / "demo.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None


class Interrupted(Exception):
    """`matchback up` is stopping, so no further requests are sent."""


class DemoClient:
    """The university's own programs, which use Matchback's client, and SendGrid's webhook."""

    def __init__(self, url: str, university: DemoUniversity, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._api = Matchback(url, university.api_key, stopping=stopping)
        http = httpx.Client(base_url=url, timeout=SENDGRID_TIMEOUT_SECONDS)
        self._sendgrid = Transport(http, None, SENDGRID_RETRY_SECONDS, stopping)
        self._key = load_pem_private_key(university.signing_key.encode(), password=None)
        self._webhook = f"/v1/webhooks/sendgrid/{university.organization_id}"

    @contextmanager
    def api(self) -> Iterator[Matchback]:
        """Yield the API client.

        Raises:
            Interrupted: `matchback up` is stopping.
        """
        if self._stopping.is_set():
            raise Interrupted
        try:
            yield self._api
        except Unreachable:
            if self._stopping.is_set():
                raise Interrupted from None
            raise

    def deliver(self, events: list[dict[str, Any]]) -> None:
        """Post events as SendGrid does: signed, and without an API key."""
        body, timestamp = json.dumps(events).encode() + b"\r\n", str(int(time.time()))
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        headers = {
            SIGNATURE_HEADER: base64.b64encode(signature).decode(),
            TIMESTAMP_HEADER: timestamp,
        }
        with self.api():
            self._sendgrid.call("POST", self._webhook, content=body, headers=headers)


def create_demo_university() -> DemoUniversity:
    """Create an organization and its keys, as the command line does."""
    organization = Organization.create("Demo University")
    _, secret = ApiKey.issue(organization.id, "demo", ["admin"])
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    sent_at = datetime.now(UTC) - timedelta(seconds=PLAYED_DAY_SECONDS * TIME_LAPSE_FACTOR)
    return DemoUniversity(str(organization.id), secret, pem, sent_at.isoformat(timespec="seconds"))


def populate_demo_university(
    university: DemoUniversity, client: DemoClient, progress: Callable[[int], None]
) -> None:
    """Create the fundraisers, the mailings, and an email per recipient.

    Each request has an idempotency key, so that an interrupted demo can resume.
    """
    with client.api() as api:
        api.set_webhook_key("sendgrid", public_key=_public(university))
        spring = api.fundraisers.create(
            name="Spring Giving Day", goal={"amount": 500_000, "currency": "USD"}, once="spring"
        )
        api.fundraisers.create(name="Library Renewal", once="library")
        mailings = [
            api.mailings.create(
                fundraiser_id=spring["id"],
                name=subject,
                subject=subject,
                cost={"amount": cost, "currency": "USD"},
                sent_at=university.sent_at,
                once=f"mailing-{number}",
            )
            for number, (subject, cost) in enumerate(DEMO_MAILINGS)
        ]
        api.mailings.set_experiment(mailings[0]["id"], arms=DEMO_ARMS, window_days=7)
    university.fundraiser_id, university.mailing_id = spring["id"], mailings[0]["id"]

    def write_to(person: tuple[int, str, str]) -> dict[str, Any]:
        number, name, address = person
        is_held_out = number >= SENT_COUNT
        is_second = number % 3 == 2 and not is_held_out
        with client.api() as api:
            email = api.emails.create(
                fundraiser_id=spring["id"],
                mailing_id=mailings[is_second]["id"],
                user={"name": name, "email": address},
                sent_at=None,
                arm=None if is_second else DEMO_ARMS[is_held_out]["name"],
                once=address,
            )
        token = email["link_token"]
        return asdict(DemoRecipient(email["id"], name, address, token, is_held_out))

    with ThreadPoolExecutor(CLIENT_THREADS) as clients:
        for recipient in clients.map(write_to, list_people()):
            university.recipients.append(recipient)
            progress(len(university.recipients))


def list_people() -> Iterator[tuple[int, str, str]]:
    """Yield the mailing list: numbers, names and addresses. The last people are held out."""
    for number in range(RECIPIENT_COUNT):
        first, last = FIRST_NAMES[number % len(FIRST_NAMES)], LAST_NAMES[number % len(LAST_NAMES)]
        yield number, f"{first} {last}", f"{first}.{last}{number}@example.edu".lower()


def _public(university: DemoUniversity) -> str:
    key = load_pem_private_key(university.signing_key.encode(), password=None)
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()
