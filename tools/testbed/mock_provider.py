"""oidc-provider-mock: an independent OpenID Connect provider, in a process of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from service.local.servers import LOOPBACK_ADDRESS, find_free_port

START_SECONDS = 60.0


@contextmanager
def run_mock_provider(*people: Mapping[str, Any]) -> Iterator[str]:
    """Run the provider, and yield its issuer.

    Args:
        people: claims of people who can sign in; each has a `sub`.
    """
    port = find_free_port()
    issuer = f"http://{LOOPBACK_ADDRESS}:{port}"
    users = [word for one in people for word in ("--user-claims", json.dumps(one))]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *users]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_provider(issuer, process)
        yield issuer
    finally:
        process.terminate()
        process.wait()


def sign_in_at_mock(url: str, subject: str) -> httpx.URL:
    """Send the form of the provider's page as this person. Return where it leads to."""
    answer = httpx.post(url, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return httpx.URL(answer.headers["location"])


def _await_provider(issuer: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            httpx.get(f"{issuer}/jwks").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("oidc-provider-mock did not start")
