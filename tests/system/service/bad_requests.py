"""Bad requests as bytes on the wire, and the expected status of each response.

`{key}`, `{charlie}` and `{spring}` are Alice's key, Charlie's, and Alice's fundraiser.
"""

from dataclasses import dataclass

JSON = "Content-Type: application/json"
NDJSON = "Content-Type: application/x-ndjson"
KEY = "Authorization: Bearer {key}"
UNKNOWN = "f" * 24
GIFT = '{{"fundraiser_id": "{spring}", "amount": 1, "currency": "USD", "donor": {donor}}}'
BOB = '{{"name": "Bob", "email": "bob@example.edu"}}'
CHUNKED = "Transfer-Encoding: chunked"


@dataclass(frozen=True)
class Bad:
    """One bad request."""

    why: str
    status: int
    head: str
    body: bytes | str = b""


def get(why: str, status: int, target: str, *headers: str, key: str = KEY) -> Bad:
    lines = [f"GET {target} HTTP/1.1", "Host: x", "Connection: close", key, *headers]
    return Bad(why, status, "\r\n".join(filter(None, lines)))


def framed(why: str, status: int, *headers: str, body: bytes = b"") -> Bad:
    """Return a POST with custom framing."""
    start = ["POST /v1/users HTTP/1.1", "Host: x", "Connection: close", KEY, JSON]
    return Bad(why, status, "\r\n".join([*start, *headers]), body)


def post(
    why: str,
    status: int,
    body: bytes | str,
    *headers: str,
    path: str = "/v1/users",
    method: str = "POST",
    media: str = JSON,
    key: str = KEY,
) -> Bad:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", key, media, *headers]
    return Bad(why, status, "\r\n".join([*filter(None, lines), "Content-Length: {length}"]), body)


def gift(why: str, status: int, body: str) -> Bad:
    return post(why, status, body, path="/v1/donations")


# uvicorn's parser rejects these, with a plain text response.
PLAIN = [
    Bad("an invalid request line", 400, "GARBAGE"),
    Bad("a request line with an extra word", 400, "GET /v1/users now HTTP/1.1\r\nHost: x"),
    Bad("a method with invalid characters", 400, "G(T /v1/users HTTP/1.1\r\nHost: x"),
    Bad("an invalid version", 400, "GET /v1/users HTTP/9.9\r\nHost: x"),
    Bad("a header without a colon", 400, "GET /v1/users HTTP/1.1\r\nHost: x\r\nnonsense"),
    Bad("a header name with a space", 400, "GET /v1/users HTTP/1.1\r\nHost : x"),
    Bad("a folded header", 400, "GET /v1/users HTTP/1.1\r\nHost: x\r\nX: a\r\n b"),
    Bad("NUL in a header", 400, "GET /v1/users HTTP/1.1\r\nHost: x\r\nX: a\0b"),
    framed("two lengths", 400, "Content-Length: 3", "Content-Length: 12", body=b"{}"),
    framed("the same length twice", 400, "Content-Length: 2", "Content-Length: 2", body=b"{}"),
    framed("a length and chunks", 400, "Content-Length: 3", CHUNKED, body=b"0\r\n\r\n"),
    framed("a negative length", 400, "Content-Length: -1"),
    framed("a length in hex", 400, "Content-Length: 0x10", body=b"{}"),
    framed("a length with a sign", 400, "Content-Length: +2", body=b"{}"),
    framed("a length that is not a number", 400, "Content-Length: two", body=b"{}"),
    framed("an unsupported transfer coding", 400, "Transfer-Encoding: gzip", body=b"{}"),
    framed("chunked twice", 400, "Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    framed("an invalid chunk size", 400, CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
    framed("a negative chunk size", 400, CHUNKED, body=b"-2\r\n{}\r\n0\r\n\r\n"),
    framed("a chunk longer than its declared length", 400, CHUNKED, body=b"1\r\n{}\r\n0\r\n\r\n"),
    post("an invented method", 400, "", method="FROBNICATE"),
]
FRAMING = [
    get("101 headers", 431, "/v1/users", *(f"X-{n}: 1" for n in range(101))),
    get("a header of 10 kB", 431, "/v1/users", f"X-Long: {'a' * 10_000}"),
    get("a URL of 10 kB", 414, f"/v1/users?name={'a' * 10_000}"),
    get("an unsupported expectation", 417, "/v1/users", "Expect: cookies"),
    framed("a body without a length", 400),
    framed("chunks of more than 1 MiB", 413, CHUNKED, body=b"10000\r\n%b\r\n" * 17 + b"0\r\n\r\n"),
    framed("a length of a terabyte", 413, "Content-Length: 1000000000000", body=b"{}"),
]
WHO = [
    get("no key", 401, "/v1/users", key=""),
    get("an unknown key", 401, "/v1/users", key=f"Authorization: Bearer mb_{'x' * 43}"),
    get("a key of bytes that are not text", 401, "/v1/users", key="Authorization: Bearer mb_\xff"),
    get("a key by another scheme", 401, "/v1/users", key="Authorization: Basic {key}"),
    get("two keys", 401, "/v1/users", KEY),
    get("a key in the query", 400, "/v1/users?api_key={key}", key=""),
    get("a key in the path", 400, "/v1/users/{key}", key=""),
    get(
        "another organization's record",
        404,
        "/v1/fundraisers/{spring}",
        key="Authorization: Bearer {charlie}",
    ),
    post("an unsigned webhook", 401, "[]", path=f"/v1/webhooks/sendgrid/{UNKNOWN}", key=""),
    post("an unsigned payment", 401, "{{}}", path=f"/v1/webhooks/stripe/{UNKNOWN}", key=""),
    post("a huge webhook", 413, b" " * 2_200_000, path="/v1/webhooks/stripe/x", key=""),
]
WHERE = [
    get("no such path", 404, "/v1/nothing"),
    get("no such record", 404, f"/v1/users/{UNKNOWN}"),
    get("an invalid ID", 404, "/v1/users/x"),
    get("NUL in a path", 404, "/v1/users/%00"),
    get("a path to a parent folder", 404, "/v1/users/../../etc/passwd"),
    get("a path that is not UTF-8", 404, "/v1/users/%ff"),
    post("no such verb", 405, "{{}}", method="PUT"),
    post("TRACE", 405, "", method="TRACE"),
    get("an unknown parameter", 400, "/v1/users?color=red"),
    get("a repeated parameter", 400, "/v1/users?limit=1&limit=2"),
    get("a parameter that is not UTF-8", 400, "/v1/users?email=%ff"),
    get("half an escape", 400, "/v1/users?email=%f"),
    get("an operator as a parameter", 400, "/v1/users?email[$ne]=x"),
    get("an invalid cursor", 400, "/v1/users?cursor=garbage"),
    get("a limit over the limit", 422, "/v1/users?limit=201"),
    get("a limit that is not a number", 422, "/v1/users?limit=many"),
    get("an order without an index", 422, "/v1/users?sort=email"),
]
BODIES = [
    post("no body", 400, ""),
    post("a body that is not JSON", 400, "name=Bob"),
    post("half an object", 400, '{{"name": '),
    post("bytes that are not UTF-8", 400, b'{"name": "\xff"}'),
    post("a byte order mark", 400, b"\xef\xbb\xbf{}"),
    post("the same key twice", 400, '{{"name": "A", "name": "B"}}'),
    post("NaN", 400, '{{"name": NaN}}'),
    post("infinity", 400, '{{"name": 1e999}}'),
    post("a number of 5,000 digits", 400, "9" * 5000),
    post("nesting over 32", 400, "[" * 33 + "]" * 33),
    post("nesting of 100,000", 400, "[" * 100_000),
    post("more than 1 MiB", 413, b'{"name": "' + b"x" * 1_048_576 + b'"}'),
    post("another media type", 415, BOB, media="Content-Type: text/plain"),
    post("no media type", 415, BOB, media=""),
    post("a form", 415, "name=Bob", media="Content-Type: application/x-www-form-urlencoded"),
    post("an array instead of an object", 422, "[]"),
    post("null instead of an object", 422, "null"),
    post("a missing field", 422, '{{"name": "Bob"}}'),
    post("an unknown field", 422, '{{"name": "B", "email": "b@example.edu", "admin": true}}'),
    post("another organization's ID", 422, '{{"name": "B", "organization_id": "f"}}'),
    post(
        "an operator instead of a value", 422, '{{"name": {{"$gt": ""}}, "email": "b@example.edu"}}'
    ),
    post("an invalid address", 422, '{{"name": "Bob", "email": "bob"}}'),
    post("a blank name", 422, '{{"name": " ", "email": "b@example.edu"}}'),
    post("NUL in a name", 422, '{{"name": "a\\u0000", "email": "b@example.edu"}}'),
    post("half a surrogate", 422, '{{"name": "\\ud800", "email": "b@example.edu"}}'),
    post("an Idempotency-Key of 300", 400, BOB, "Idempotency-Key: " + "x" * 300),
    post("an Idempotency-Key of spaces", 400, BOB, "Idempotency-Key: a b"),
    gift(
        "an amount of zero", 422, GIFT.replace('"amount": 1', '"amount": 0').replace("{donor}", BOB)
    ),
    gift("half a cent", 422, GIFT.replace('"amount": 1', '"amount": 1.5').replace("{donor}", BOB)),
    gift(
        "an amount of 2^63",
        422,
        GIFT.replace('"amount": 1', f'"amount": {2**63}').replace("{donor}", BOB),
    ),
    gift("an invalid currency", 422, GIFT.replace("USD", "XXX").replace("{donor}", BOB)),
    gift("an operator instead of a donor", 422, GIFT.replace("{donor}", '{{"$where": "1"}}')),
    gift("an unknown fundraiser", 422, GIFT.replace("{spring}", UNKNOWN).replace("{donor}", BOB)),
    *(
        post(f"an import of {records} in JSON", 415, "{{}}", path=f"/v1/{records}/import")
        for records in ("emails", "users", "donations")
    ),
]
CATALOGUE = [*FRAMING, *WHO, *WHERE, *BODIES]
