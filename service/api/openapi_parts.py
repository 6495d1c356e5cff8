"""The parts of the OpenAPI document that many operations share."""

from http import HTTPStatus
from typing import Any

from documents.providers.sendgrid import SIGNATURE_HEADER
from documents.providers.signatures import STRIPE_HEADER
from service.api import problems

SCHEMA_REF_TEMPLATE = "#/components/schemas/{model}"
API_DESCRIPTION = " ".join(
    """
    Which email led to which gift. Send `Authorization: Bearer mb_…`; the key says whose records you
    see, and another organization's are as if they were not there. Money is in minor units (cents,
    where there are cents) of an ISO 4217 currency. Times are RFC 3339, answered in UTC. Errors are
    problem documents (RFC 9457) with a JSON pointer to each field that cannot be accepted; they
    never repeat its value. Lists come in pages: send `next_cursor` as `cursor` for the next one.
    What is read has an `ETag`: send it as `If-None-Match`, and what you have already is answered
    with 304. Any GET can be a HEAD. A verb that a path does not have (405), an expectation other
    than 100-continue (417), and a body that does not come in time (408) are answered with a problem
    document, too. Malformed HTTP is answered with a plain 400, and the connection closes.
    """.split()
)
SECURITY_SCHEMES: dict[str, dict[str, Any]] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `mb_…`, with one of the scopes read, write (which may read) "
        "and admin (which may do everything). `matchback org create` makes the first, POST "
        "/v1/api-keys the others. Never in a URL.",
    },
    "sendgrid": {
        "type": "apiKey",
        "in": "header",
        "name": SIGNATURE_HEADER,
        "description": "SendGrid's signature over the raw body, checked with the public key that "
        "was set with PUT /v1/webhook-keys/sendgrid.",
    },
    "stripe": {
        "type": "apiKey",
        "in": "header",
        "name": STRIPE_HEADER,
        "description": "Stripe's signature over the raw body, checked with the secret that was "
        "set with PUT /v1/webhook-keys/stripe.",
    },
    "payments": {
        "type": "apiKey",
        "in": "header",
        "name": "Webhook-Signature",
        "description": "A signature over the raw body as Standard Webhooks has it, checked with "
        "the secret that was set with PUT /v1/webhook-keys/payments.",
    },
}
IDEMPOTENCY_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body again answer what the first time answered, for 48 hours.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "example": "5f0c8a52-8d0f-4b36-9d3c-2b1a7a8f0a77",
}
IF_NONE_MATCH_PARAMETER = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the answer you have.",
    "schema": {"type": "string"},
}
RESPONSE_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"description": "Names the request; yours, if you sent one"},
    "ETag": {"description": "Names what is answered"},
    "Location": {"description": "Where the record is"},
    "Idempotency-Replayed": {"description": "`true`: this was answered before"},
    "Retry-After": {"description": "After how many seconds to try again"},
    "WWW-Authenticate": {"description": "Bearer"},
}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "urn:matchback:problem:… and the title"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people"},
        "instance": {"type": "string", "description": "The request id"},
        "errors": {
            "type": "array",
            "description": "With 422: the first errors, each with its reason",
            "maxItems": problems.MAX_LISTED_ERRORS,
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer to the field"},
                    "code": {"type": "string", "description": "For programs"},
                    "detail": {"type": "string", "description": "For people"},
                },
            },
        },
        "errors_left_out": {
            "type": "integer",
            "description": "Number of further errors, which are not listed; absent if none",
        },
    },
}
# What each problem means here, where the status alone does not say it.
PROBLEM_DESCRIPTIONS = {
    400: "Malformed: no JSON, an unknown or repeated query parameter, another list's cursor",
    401: "No API key, or not a valid one; of a webhook, no valid signature",
    403: "The key lacks the scope",
    404: "No such record, or another organization's",
    409: "The record's state does not allow it, or the first request with this key is running",
    413: "The body is too large",
    414: "The request line is longer than 4 kB",
    415: "Another media type than is read",
    422: "Well formed, and cannot be accepted: `errors` says which fields, and why",
    429: "Too many requests",
    431: "A header field is larger than 8 kB, or there are more than 100",
    503: "The database is away, or all room for imports is taken",
}
RETRYABLE_STATUSES = (409, 429, 503)


def describe_response(status: int, content: dict[str, Any] | None, *headers: str) -> dict[str, Any]:
    """One answer of an operation."""
    named = {
        name: {**RESPONSE_HEADERS[name], "schema": {"type": "string"}}
        for name in ("X-Request-Id", *headers)
    }
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": named}
    return described | ({"content": content} if content else {})


def describe_problem(status: int) -> dict[str, Any]:
    """An answer that is a problem document."""
    schema = {"$ref": SCHEMA_REF_TEMPLATE.format(model="Problem")}
    more = ["Retry-After"] if status in RETRYABLE_STATUSES else []
    more += ["WWW-Authenticate"] if status == 401 else []
    described = describe_response(status, {problems.PROBLEM_MEDIA_TYPE: {"schema": schema}}, *more)
    return described | {"description": PROBLEM_DESCRIPTIONS.get(status, described["description"])}
