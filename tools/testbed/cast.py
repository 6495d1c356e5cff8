"""The cast: Alice raises funds at one university, Bob is a donor, Charlie works at another."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from falcon import testing

from documents.access.api_key import ApiKey
from documents.organization import Organization
from documents.providers.sendgrid import SIGNATURE_HEADER, TIMESTAMP_HEADER

BOB = {"name": "Bob Baker", "email": "bob@example.edu"}
UNKNOWN_ID = "f" * 24


@dataclass
class ApiAnswer:
    """A response of the service."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


SendRequest = Callable[[str, str, bytes | None, dict[str, str]], ApiAnswer]


class Api:
    """A client that calls the service in the same way in this process or over HTTP."""

    def __init__(self, send: SendRequest) -> None:
        self._send = send

    @classmethod
    def in_process(cls, client: testing.TestClient) -> "Api":
        def send(method: str, path: str, body: bytes | None, headers: dict[str, str]) -> ApiAnswer:
            path, _, query = path.partition("?")
            result = client.simulate_request(
                method, path, query_string=query, body=body, headers=headers
            )
            lower = {name.lower(): value for name, value in result.headers.items()}
            return ApiAnswer(result.status_code, lower, result.content)

        return cls(send)

    @classmethod
    def over_http(cls, http: httpx.Client) -> "Api":
        def send(method: str, path: str, body: bytes | None, headers: dict[str, str]) -> ApiAnswer:
            result = http.request(method, path, content=body, headers=headers)
            return ApiAnswer(result.status_code, dict(result.headers), result.content)

        return cls(send)

    def call(
        self,
        method: str,
        path: str,
        json_: Any = None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> ApiAnswer:
        headers = dict(headers or {})
        if json_ is not None:
            body = json.dumps(json_).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return self._send(method, path, body, headers)


@dataclass
class University:
    """An organization with an admin key, and the daily work of its staff."""

    id: str
    key: str
    api: Api
    signing_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def call(self, method: str, path: str, json_: Any = None, **more: Any) -> ApiAnswer:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return self.api.call(method, path, json_, headers=headers, **more)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, answer.content
        return answer.json

    def make(self, noun: str, **fields: Any) -> Any:
        answer = self.call("POST", f"/v1/{noun}", fields)
        assert answer.status == 201, answer.content
        return answer.json

    def fundraiser(self, name: str = "Spring", **fields: Any) -> str:
        return str(self.make("fundraisers", name=name, **fields)["id"])

    def mailing(self, fundraiser_id: str, **fields: Any) -> str:
        fields = {"name": "Appeal", **fields}
        return str(self.make("mailings", fundraiser_id=fundraiser_id, **fields)["id"])

    def email(self, fundraiser_id: str, user: dict[str, str] = BOB, **fields: Any) -> str:
        return str(self.make("emails", fundraiser_id=fundraiser_id, user=user, **fields)["id"])

    def gift(
        self, fundraiser_id: str, amount: int = 2500, donor: dict[str, str] = BOB, **fields: Any
    ) -> str:
        fields = {"currency": "USD", **fields}
        made = self.make(
            "donations", fundraiser_id=fundraiser_id, amount=amount, donor=donor, **fields
        )
        return str(made["id"])

    def report(self, fundraiser_id: str) -> Any:
        return self.get(f"/v1/fundraisers/{fundraiser_id}/report")

    def set_webhook_key(self) -> None:
        answer = self.call(
            "PUT", "/v1/webhook-keys/sendgrid", {"public_key": export_public_key(self.signing_key)}
        )
        assert answer.status == 200, answer.content

    def deliver(self, events: Any, *, body: bytes | None = None) -> ApiAnswer:
        """Post events as SendGrid does."""
        body = json.dumps(events).encode() if body is None else body
        return self.api.call(
            "POST",
            f"/v1/webhooks/sendgrid/{self.id}",
            body=body,
            headers=sign_webhook(self.signing_key, body),
        )


def create_university(name: str, api: Api) -> University:
    """Create a university."""
    organization = Organization.create(name)
    _, secret = ApiKey.issue(organization.id, "admin", ["admin"])
    return University(str(organization.id), secret, api)


def export_public_key(key: ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def sign_webhook(key: ec.EllipticCurvePrivateKey, body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return {
        SIGNATURE_HEADER: base64.b64encode(signature).decode(),
        TIMESTAMP_HEADER: timestamp,
    }


def make_event(email_id: str, type_: str, at: float, **more: Any) -> dict[str, Any]:
    """Return an event as SendGrid reports it, with a new ID by default."""
    return {
        "email": BOB["email"],
        "timestamp": at,
        "event": type_,
        "sg_event_id": f"{email_id}-{type_}-{at}",
        "sg_message_id": f"message-{email_id}",
        "email_id": email_id,
        **more,
    }
