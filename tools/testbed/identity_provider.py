"""An OpenID Connect provider in the test's process. The test decides what it signs and answers."""

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from service.local.servers import LOOPBACK_ADDRESS

CLIENT_ID, CLIENT_SECRET = "matchback", "a-secret-of-the-client"
PATHS = {
    "authorization_endpoint": "/authorize",
    "token_endpoint": "/token",
    "jwks_uri": "/keys",
    "userinfo_endpoint": "/userinfo",
    "end_session_endpoint": "/end",
}


@cache
def make_first_key() -> "SigningKey":
    """Return the key of every new provider, because making one takes half a second."""
    return SigningKey("first")


@dataclass(frozen=True)
class Reply:
    """An answer of the provider.

    Attributes:
        parts: number of times that the body is sent, each after `pause_seconds`.
        until: the provider answers only after this event.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: int = 1
    pause_seconds: float = 0.0
    until: threading.Event | None = None


@dataclass
class Grant:
    """A sign-in that a code stands for."""

    query: dict[str, str]
    claims: dict[str, Any]
    is_used: bool = False


class SigningKey:
    """An RSA key of the provider."""

    def __init__(self, key_id: str, bits: int = 2048) -> None:
        self.key_id = key_id
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=bits)

    def build_jwk(self) -> dict[str, Any]:
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "kid": self.key_id,
            "use": "sig",
            "n": encode_number(numbers.n),
            "e": encode_number(numbers.e),
        }

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any] | bytes) -> str:
        """Return a token. The signature is RS256, whatever the header claims."""
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        content = f"{encode(json.dumps(header).encode())}.{encode(payload)}"
        signature = self.private.sign(content.encode(), padding.PKCS1v15(), SHA256())
        return f"{content}.{encode(signature)}"


class IdentityProvider:
    """A provider that behaves well unless the test replaces a part of it.

    Attributes:
        make_token: builds the ID token from its claims.
        replies: replaces the answer of a path.
        metadata: replaces entries of the discovery document.
        userinfo: claims of the userinfo endpoint; the subject is added.
        requests: method and path of each request.
        more_tokens, token_status: further fields beside the tokens, and the status of that answer.
        accepts_codes_again: whether a code can be exchanged twice, and with any verifier.
        client_id, client_secret: the only client.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.keys = [make_first_key()]
        self.make_token: Callable[[dict[str, Any]], str] = self.sign
        self.replies: dict[str, Reply] = {}
        self.metadata: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.requests: list[tuple[str, str]] = []
        self.authorizations: list[str] = []
        self.accepts_codes_again = False
        self.client_id, self.client_secret = CLIENT_ID, CLIENT_SECRET
        self.more_tokens: dict[str, Any] = {}
        self.token_status = 200
        self._grants: dict[str, Grant] = {}

    def build_claims(self, **more: Any) -> dict[str, Any]:
        """Return the claims of a valid ID token for Alice."""
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": "alice-at-the-provider",
            "aud": self.client_id,
            "exp": now + 300,
            "iat": now,
            "email": "alice@example.edu",
            "email_verified": True,
            "name": "Alice Adams",
            **more,
        }

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a token that the newest key signs."""
        key = self.keys[-1]
        return key.sign({"alg": "RS256", "typ": "JWT", "kid": key.key_id}, claims)

    def authorize(self, url: str, **more: Any) -> dict[str, str]:
        """Let the person sign in at this URL. Return the query of the answer."""
        query = dict(parse_qsl(urlsplit(url).query))
        code = secrets.token_urlsafe(16)
        self._grants[code] = Grant(query, self.build_claims(**{"nonce": query["nonce"], **more}))
        return {"state": query["state"], "code": code}

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Return the answer to a request."""
        self.requests.append((method, path))
        self.authorizations.append(headers.get("authorization", ""))
        if path in self.replies:
            return self.replies[path]
        match path:
            case "/.well-known/openid-configuration":
                return reply_with(self.build_metadata())
            case "/keys":
                return reply_with({"keys": [key.build_jwk() for key in self.keys]})
            case "/token":
                return self._exchange(headers, dict(parse_qsl(body.decode())))
            case "/userinfo":
                return reply_with({"sub": "alice-at-the-provider", **self.userinfo})
        return Reply(404)

    def build_metadata(self) -> dict[str, Any]:
        """Return the discovery document."""
        endpoints = {name: self.issuer + path for name, path in PATHS.items()}
        return {"issuer": self.issuer, **endpoints, **self.metadata}

    def _exchange(self, headers: Mapping[str, str], form: dict[str, str]) -> Reply:
        if read_client(headers, form) != (self.client_id, self.client_secret):
            return reply_with({"error": "invalid_client"}, 401)
        grant = self._grants.get(form.get("code", ""))
        if grant is None or not (self.accepts_codes_again or is_exchangeable(grant, form)):
            return reply_with({"error": "invalid_grant"}, 400)
        grant.is_used = True
        token = self.make_token(grant.claims)
        tokens = {"token_type": "Bearer", "access_token": "opaque", "id_token": token}
        return reply_with(tokens | self.more_tokens, self.token_status)


def read_client(headers: Mapping[str, str], form: Mapping[str, str]) -> tuple[str, str]:
    """Return the client ID and the secret of a request."""
    if "client_secret" in form:
        return form.get("client_id", ""), form["client_secret"]
    given = headers.get("authorization", "").removeprefix("Basic ")
    client_id, _, secret = unquote(base64.b64decode(given).decode()).partition(":")
    return client_id, secret


def is_exchangeable(grant: Grant, form: Mapping[str, str]) -> bool:
    """Return whether the code is new, and the verifier and the redirect URI belong to it."""
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    return (
        not grant.is_used
        and grant.query.get("code_challenge") == encode(digest)
        and grant.query.get("redirect_uri") == form.get("redirect_uri")
    )


def reply_with(value: Any, status: int = 200) -> Reply:
    """Return an answer in JSON."""
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json"})


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode_number(number: int) -> str:
    """Return a number as a JWK has it."""
    return encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


@contextmanager
def run_identity_provider(files: tuple[Path, Path] | None = None) -> Iterator[IdentityProvider]:
    """Run a provider on a port of the loopback address.

    Args:
        files: certificate and key, to serve https://.
    """
    with ThreadingHTTPServer((LOOPBACK_ADDRESS, 0), _Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        if files is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*files)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "https" if files else "http"
        provider = IdentityProvider(f"{scheme}://{LOOPBACK_ADDRESS}:{server.server_port}")
        vars(server)["provider"] = provider
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def handle(self) -> None:
        with suppress(OSError):  # the client rejects the certificate
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""

    def _answer(self) -> None:
        provider: IdentityProvider = vars(self.server)["provider"]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = provider.answer(self.command, self.path, headers, body)
        if reply.until is not None:
            reply.until.wait(60)
        try:
            self._send(reply)
        except OSError:
            self.close_connection = True  # the client has seen enough

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body) * reply.parts))
        self.end_headers()
        for _ in range(reply.parts):
            time.sleep(reply.pause_seconds)
            self.wfile.write(reply.body)
