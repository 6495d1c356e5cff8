"""Checks of a request's head that uvicorn's parser does not make. Pure."""

import re
from urllib.parse import quote_from_bytes

import falcon

from documents.providers.registry import PROVIDERS
from service.server.asgi import Scope
from service.server.body import MAX_BODY_BYTES

MAX_HEADER_FIELDS, MAX_HEADER_FIELD_BYTES, MAX_TARGET_BYTES = 100, 8190, 4094
# A name or address, with an optional port (RFC 9110, 7.2).
HOST_PATTERN = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%-]*(:[0-9]*)?|\[[0-9A-Fa-f:.]+\](:[0-9]*)?")
IMPORT_PATH_PATTERN = re.compile(r"(/v1/[a-z-]+/import|/dashboard/imports)/?")
WEBHOOK_PATH_PATTERN = re.compile(r"/+v1/+webhooks/+(?P<provider>[a-z]+)(/.*)?")
VISIBLE_ASCII = bytes(range(33, 127))


def clean_scope(scope: Scope) -> Scope:
    """Remove the parts of the scope that WSGI cannot represent.

    WSGI cannot distinguish `X_Forwarded_For` from `X-Forwarded-For`, and its query is ASCII.
    """
    return {
        **scope,
        "headers": [field for field in scope["headers"] if b"_" not in field[0]],
        "query_string": quote_from_bytes(scope["query_string"], safe=VISIBLE_ASCII).encode(),
    }


def check_head(scope: Scope) -> falcon.HTTPError | None:
    """Return the error to reject the request with, or None."""
    headers = scope["headers"]
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
        return falcon.HTTPError("414 URI Too Long", description="URL too long. Send at most 4 kB.")
    if len(headers) > MAX_HEADER_FIELDS or any(
        len(n) + len(v) > MAX_HEADER_FIELD_BYTES for n, v in headers
    ):
        return falcon.HTTPError(
            "431 Request Header Fields Too Large",
            description="Header fields too large or too many. Send fewer or smaller ones.",
        )
    hosts = list_header_values(scope, b"host")
    is_missing = not hosts and scope["http_version"] == "1.1"
    if (
        is_missing
        or len(hosts) > 1
        or not all(HOST_PATTERN.fullmatch(host.strip()) for host in hosts)
    ):
        return falcon.HTTPBadRequest(
            description="Missing, repeated or invalid Host header. Send one valid Host header."
        )
    codings = [coding.strip().lower() for coding in list_header_values(scope, b"transfer-encoding")]
    if codings and (codings != [b"chunked"] or scope["http_version"] == "1.0"):
        return falcon.HTTPBadRequest(
            description="Unsupported Transfer-Encoding. Use chunked, with HTTP/1.1."
        )
    if any(
        value.strip().lower() != b"100-continue" for value in list_header_values(scope, b"expect")
    ):
        return falcon.HTTPError(
            "417 Expectation Failed", description="Unsupported Expect header. Use 100-continue."
        )
    return None


def read_body_length(scope: Scope) -> int | None:
    """Return the length of the body in bytes: 0 without a body, None if chunked."""
    if list_header_values(scope, b"transfer-encoding"):
        return None
    return int((list_header_values(scope, b"content-length") or [b"0"])[0])


def find_body_limit(scope: Scope) -> int:
    """Return the maximum number of bytes of the request's body."""
    found = WEBHOOK_PATH_PATTERN.fullmatch(scope["path"])
    provider = PROVIDERS.get(found["provider"]) if found else None
    return provider.max_body_bytes if provider else MAX_BODY_BYTES


def is_import(scope: Scope) -> bool:
    """Return whether the request is an import or an upload.

    The application reads their bodies in pieces.
    """
    return scope["method"] == "POST" and IMPORT_PATH_PATTERN.fullmatch(scope["path"]) is not None


def list_header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Return the values of a header field."""
    return [value for found, value in scope["headers"] if found == name]
