"""Readiness of a web service that speaks plain HTTP."""

import ssl

import httpx

ANSWER_SECONDS = 5
# httpx reads the system's certificates for each client, which takes 15 ms. Plain HTTP needs none.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def is_ready(url: str) -> bool:
    """Return whether the web service at this address answers that it is ready."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=ANSWER_SECONDS, verify=NO_CERTIFICATES)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200
