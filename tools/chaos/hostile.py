"""Slow and hostile clients. Each attack lasts some seconds and returns its incorrect responses.

A connection that ends without a response is not an error, because the monkey kills web processes.
"""

import contextlib
import json
import random
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
from stripe import WebhookSignature

from tools.testbed.cast import University, sign_webhook

STALLED_CONNECTIONS = 30
STALL_SECONDS = 4.0
CHUNK_COUNT = 3000
QUOTE_COUNT = 16_000
NESTING_DEPTH = 20_000
OVERSIZE_BYTES = 12 * 1024 * 1024
ATTACK_TIMEOUT_SECONDS = 20

Findings = list[str]


def send_stalled_requests(url: str, place: University, chance: random.Random) -> Findings:
    """Run Slowloris: heads that never end, and bodies that arrive one byte at a time."""
    media = chance.choice(["application/json", "application/x-ndjson"])
    paths = (
        *(f"/v1/{records}/import" for records in ("emails", "users", "donations")),
        *(f"/v1/webhooks/stripe/{place.id}", "/v1/donations"),
    )
    head = (
        f"POST {chance.choice(paths)} HTTP/1.1\r\nHost: chaos\r\nContent-Type: {media}\r\n"
        f"Authorization: Bearer {chance.choice([place.key, 'mb_wrong'])}\r\n"
    )
    whole = f"{head}Content-Length: 100000\r\n\r\n"
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        held = [stack.enter_context(_connected(url)) for _ in range(STALLED_CONNECTIONS)]
        for number, connection in enumerate(held):
            connection.sendall((whole if number % 2 else head).encode())
        deadline = time.monotonic() + STALL_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.5)
            for connection in held:
                with contextlib.suppress(OSError):
                    connection.sendall(b"{")
    return []


def send_byte_chunks(url: str, place: University, chance: random.Random) -> Findings:
    """Send a gift that is not JSON, in chunks of one byte."""

    def chunks() -> Iterator[bytes]:
        for _ in range(CHUNK_COUNT):
            yield chance.choice([b"[", b"{", b'"', b" "])

    return _rejected(url, "/v1/donations", place, content=chunks())


def post_quotes(url: str, place: University, chance: random.Random) -> Findings:
    """Send signed posts that are hard to parse.

    The service keeps and reports them, and counts nothing.
    """
    body = chance.choice(
        [
            b"[" + b'\\"' * QUOTE_COUNT + b"]",
            b"[" * NESTING_DEPTH,
            b'[{"a":' * (NESTING_DEPTH // 6) + b"]",
            b"[" + b"{}," * NESTING_DEPTH + b"]",
            b'["' + b"\\" * QUOTE_COUNT + b'"]',
        ]
    )
    path = f"/v1/webhooks/sendgrid/{place.id}"
    answer = _answer(
        "POST", url + path, content=body, headers=sign_webhook(place.signing_key, body)
    )
    return _false(path, answer, {202, 400, 413, 422, 503})


def post_garbage(url: str, place: University, chance: random.Random) -> Findings:
    """Send bytes that are not HTTP."""
    with contextlib.suppress(OSError), _connected(url) as connection:
        connection.sendall(chance.randbytes(chance.randrange(1, 5000)) + b"\r\n\r\n")
        connection.settimeout(5)
        if connection.recv(12).startswith(b"HTTP/1.1 2"):
            return ["garbage was answered with success"]
    return []


def use_wrong_keys(url: str, place: University, chance: random.Random) -> Findings:
    """Use an unknown API key, and webhooks signed with the wrong secret."""
    body = json.dumps([{"email": "mallory@example.edu", "event": "open", "timestamp": 1}]).encode()
    forged = {**sign_webhook(place.signing_key, body + b" "), "Content-Type": "application/json"}
    text = "{}"
    stripe = WebhookSignature.generate_signature_header(text, "whsec_forged", int(time.time()))
    tried = [
        ("GET", "/v1/fundraisers", b"", {"Authorization": f"Bearer mb_{chance.random()}"}),
        ("POST", f"/v1/webhooks/sendgrid/{place.id}", body, forged),
        ("POST", f"/v1/webhooks/stripe/{place.id}", text.encode(), {"Stripe-Signature": stripe}),
    ]
    findings: Findings = []
    for method, path, content, headers in tried:
        answer = _answer(method, url + path, content=content, headers=headers)
        findings += _false(path, answer, {400, 401, 403, 404, 429, 503})
    return findings


def post_oversize(url: str, place: University, chance: random.Random) -> Findings:
    """Send a gift of many megabytes, with its length or in chunks."""
    block = b'{"fundraiser_id": "' + b"x" * (1024 * 1024)

    def chunks() -> Iterator[bytes]:
        for _ in range(OVERSIZE_BYTES // len(block)):
            yield block

    content = chunks() if chance.random() < 0.5 else b"".join(chunks())
    return _rejected(url, "/v1/donations", place, content=content)


ATTACKS = {
    "stalled connections": send_stalled_requests,
    "one-byte chunks": send_byte_chunks,
    "hostile JSON": post_quotes,
    "garbage": post_garbage,
    "wrong keys": use_wrong_keys,
    "oversize bodies": post_oversize,
}


def _rejected(url: str, path: str, place: University, content: bytes | Iterator[bytes]) -> Findings:
    headers = {"Authorization": f"Bearer {place.key}", "Content-Type": "application/json"}
    answer = _answer("POST", url + path, content=content, headers=headers)
    return _false(path, answer, {400, 408, 411, 413, 422, 429, 503})


def _answer(
    method: str, url: str, content: bytes | Iterator[bytes], headers: dict[str, str]
) -> int | None:
    try:
        return httpx.request(
            method, url, content=content, headers=headers, timeout=ATTACK_TIMEOUT_SECONDS
        ).status_code
    except httpx.HTTPError:
        return None


def _false(path: str, status: int | None, allowed: set[int]) -> Findings:
    if status is None or status in allowed:
        return []
    return [f"a hostile request to {path.split('/')[2]} was answered {status}"]


def _connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5)
