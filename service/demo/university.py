"""The demo university: made once, kept in DIR/demo.json, and everything else by HTTP."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
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

from documents.api_key import ApiKey
from documents.organization import Organization
from documents.sendgrid import SIGNATURE_HEADER, TIMESTAMP_HEADER
from service.demo.giving_day import Recipient

RECIPIENTS = 600
CLIENTS = 8
PATIENCE_SECONDS = 60
FIRST = "Ada Ben Chloe David Elif Femi Grace Hugo Ines Jonas Kofi Lena Mina Noor Omar Priya".split()
LAST = "Abbott Brandt Castro Diaz Evans Fischer Garcia Haddad Ito Jensen Khan Lopez Moreau".split()


@dataclass
class University:
    """What the demo must remember to go on after a restart."""

    organization_id: str
    api_key: str
    signing_key: str
    fundraiser_id: str = ""
    mailing_id: str = ""
    recipients: list[dict[str, str]] = field(default_factory=list)
    started_at: int = 0
    played: bool = False

    def save(self, data: Path) -> None:
        """Keep it; it holds keys, so for its owner alone."""
        draft = data / "demo.json.new"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(data / "demo.json")

    @classmethod
    def load(cls, data: Path) -> "University | None":
        """What was kept, if anything whole was."""
        try:
            return cls(**json.loads((data / "demo.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None


class Interrupted(Exception):
    """Everything is being stopped: whatever is still to be sent is not sent any more."""


class Client:
    """The university's own programs: a few lines of HTTP that try again while a part restarts."""

    def __init__(self, url: str, university: University, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._http = httpx.Client(base_url=url, timeout=10)
        self._headers = {"Authorization": f"Bearer {university.api_key}"}
        self._key = load_pem_private_key(university.signing_key.encode(), password=None)
        self._webhook = f"/v1/webhooks/sendgrid/{university.organization_id}"

    def call(self, method: str, path: str, json: Any = None, once: str = "") -> Any:
        """Call the API as an engineer of the university would; `once` is an Idempotency-Key."""
        key = {"Idempotency-Key": once} if once else {}
        return self._send(method, path, json=json, headers={**self._headers, **key})

    def deliver(self, events: list[dict[str, Any]]) -> Any:
        """Post events as SendGrid would: signed, with no API key."""
        body, timestamp = json.dumps(events).encode() + b"\r\n", str(int(time.time()))
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        headers = {
            SIGNATURE_HEADER: base64.b64encode(signature).decode(),
            TIMESTAMP_HEADER: timestamp,
        }
        return self._send("POST", self._webhook, content=body, headers=headers)

    def _send(self, method: str, path: str, **request: Any) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._stopping.is_set():
            try:
                answer = self._http.request(method, path, **request)
                if answer.status_code < 500:
                    answer.raise_for_status()
                    return answer.json() if answer.content else None
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path} was not answered")
            self._stopping.wait(0.2)
        raise Interrupted


def found() -> University:
    """A new organization with its keys: what the command line does."""
    organization = Organization.create("Demo University")
    _, secret = ApiKey.issue(organization.id, "demo", ["admin"])
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return University(str(organization.id), secret, pem)


def furnish(university: University, client: Client, progress: Callable[[int], None]) -> None:
    """Its fundraisers, its mailing, and an email for everybody on the list.

    Each under an Idempotency-Key, so that a demo which was interrupted goes on where it was.
    """
    call = client.call
    call("PUT", "/v1/webhook-keys/sendgrid", {"public_key": _public(university)})
    goal = {"amount": 500_000, "currency": "USD"}
    spring = call("POST", "/v1/fundraisers", {"name": "Spring Giving Day", "goal": goal}, "spring")
    call("POST", "/v1/fundraisers", {"name": "Library Renewal"}, "library")
    mailing = call(
        "POST",
        "/v1/mailings",
        {
            "fundraiser_id": spring["id"],
            "name": "Today is the day",
            "subject": "Today is the day",
            "cost": {"amount": 12_000, "currency": "USD"},
        },
        "mailing",
    )
    university.fundraiser_id, university.mailing_id = spring["id"], mailing["id"]

    def write_to(person: tuple[str, str]) -> dict[str, str]:
        name, address = person
        email = call(
            "POST",
            "/v1/emails",
            {
                "fundraiser_id": spring["id"],
                "mailing_id": mailing["id"],
                "user": {"name": name, "email": address},
                "sent_at": None,
            },
            address,
        )
        return asdict(Recipient(email["id"], name, address, email["link_token"]))

    with ThreadPoolExecutor(CLIENTS) as clients:
        for recipient in clients.map(write_to, people()):
            university.recipients.append(recipient)
            progress(len(university.recipients))


def people() -> Iterator[tuple[str, str]]:
    """Names and addresses of the mailing list."""
    for number in range(RECIPIENTS):
        first, last = FIRST[number % len(FIRST)], LAST[number % len(LAST)]
        yield f"{first} {last}", f"{first}.{last}{number}@example.edu".lower()


def _public(university: University) -> str:
    key = load_pem_private_key(university.signing_key.encode(), password=None)
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()
