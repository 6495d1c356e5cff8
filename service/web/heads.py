"""What a request's head says, checked before anything of it is used. Pure."""

import re
from urllib.parse import quote_from_bytes

import falcon

Headers = list[tuple[bytes, bytes]]

FIELDS, FIELD_BYTES, TARGET_BYTES = 100, 8190, 4094
SINGLE = (b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization")
# A name or address and perhaps a port (RFC 9110, 7.2).
HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%-]*(:[0-9]*)?|\[[0-9A-Fa-f:.]+\](:[0-9]*)?")
IMPORT = re.compile(r"/v1/[a-z-]+/import/?")
ALL_ASCII = bytes(range(33, 127))


def clean(scope: dict[str, object]) -> dict[str, object]:
    """Return the scope in a form that WSGI can represent.

    Its headers are a copy, because trailers would be added to the original. Names with an
    underscore are left out, because WSGI takes `X_Forwarded_For` for `X-Forwarded-For`.
    """
    headers: Headers = scope["headers"]  # type: ignore[assignment]
    query: bytes = scope["query_string"]  # type: ignore[assignment]
    return {
        **scope,
        "headers": [(name, value) for name, value in headers if b"_" not in name],
        "query_string": query if query.isascii() else _ascii(query),
    }


def check(scope: dict[str, object]) -> falcon.HTTPError | None:
    """Return why a request is rejected by its head alone, or None."""
    headers: Headers = scope["headers"]  # type: ignore[assignment]
    raw, query = scope["raw_path"], scope["query_string"]
    if len(raw) + len(query) > TARGET_BYTES:  # type: ignore[arg-type]
        return falcon.HTTPError("414 URI Too Long", description="The URL is too long.")
    if len(headers) > FIELDS or any(len(n) + len(v) > FIELD_BYTES for n, v in headers):
        return falcon.HTTPError(
            "431 Request Header Fields Too Large",
            description="The header fields are too large, or too many.",
        )
    values: dict[bytes, list[bytes]] = {name: [] for name in SINGLE}
    for name, value in headers:
        if name in values:
            values[name].append(value)
    return _check_framing(scope, values) or _check_expectation(headers)


def _check_framing(
    scope: dict[str, object], values: dict[bytes, list[bytes]]
) -> falcon.HTTPError | None:
    hosts = values[b"host"]
    if not hosts and scope["http_version"] == "1.1":
        return _malformed("A request needs a Host header.")
    if any(len(found) > 1 for found in (hosts, values[b"content-length"])) or any(
        not HOST.fullmatch(host.strip()) for host in hosts
    ):
        return _malformed("The Host header is not usable.")
    codings = values[b"transfer-encoding"]
    if codings and [coding.strip().lower() for coding in codings] != [b"chunked"]:
        return _malformed("The only transfer coding is chunked.")
    if codings and (values[b"content-length"] or scope["http_version"] == "1.0"):
        return _malformed("A body has a length or chunks, and chunks need HTTP/1.1.")
    return None


def _check_expectation(headers: Headers) -> falcon.HTTPError | None:
    wanted = {value.strip().lower() for name, value in headers if name == b"expect"}
    if wanted - {b"100-continue"}:
        return falcon.HTTPError(
            "417 Expectation Failed",
            description="The server meets no expectation but 100-continue.",
        )
    return None


def body_length(scope: dict[str, object]) -> int | None:
    """Return the length of the body, 0 if there is none, or None if it comes in chunks."""
    headers: Headers = scope["headers"]  # type: ignore[assignment]
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            return int(value)
    return 0


def is_import(scope: dict[str, object]) -> bool:
    """Return whether this is a path whose body is streamed, once its key was accepted."""
    return scope["method"] == "POST" and IMPORT.fullmatch(str(scope["path"])) is not None


def _malformed(detail: str) -> falcon.HTTPError:
    return falcon.HTTPBadRequest(description=detail)


def _ascii(query: bytes) -> bytes:
    return quote_from_bytes(query, safe=ALL_ASCII).encode()
