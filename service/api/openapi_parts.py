"""The parts of the OpenAPI document that several operations share."""

from http import HTTPStatus
from typing import Any

from documents.providers.registry import PROVIDERS
from documents.values.validation import MAX_LISTED_ERRORS
from service.api import problems

SCHEMA_REF_TEMPLATE = "#/components/schemas/{model}"
API_DESCRIPTION = " ".join(
    """
    Matchback finds out which email led to which donation. Send `Authorization: Bearer mb_…`. You
    see only the records of the key's organization; other organizations' records return 404. Money
    is in minor units, such as cents, of an ISO 4217 currency. Times are RFC 3339, and responses
    use UTC. Errors are problem documents (RFC 9457) with a JSON pointer to each invalid field.
    They never repeat a value. Lists are paged: send `next_cursor` as `cursor` to get the next page.
    GET responses have an `ETag`. Send it as `If-None-Match` to get 304 if nothing has changed. Any
    GET can be a HEAD. Unsupported methods (405), expectations other than 100-continue (417), and
    slow request bodies (408) also return problem documents. Malformed HTTP returns a plain 400 and
    closes the connection.
    """.split()
)
SECURITY_SCHEMES: dict[str, dict[str, Any]] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `mb_…`, with the scope read, write (includes read) or admin "
        "(includes all). Create the first key with `matchback org create` and others with POST "
        "/v1/api-keys. Do not send keys in URLs.",
    },
    **{
        name: {
            "type": "apiKey",
            "in": "header",
            "name": next(iter(provider.headers)),
            "description": f"{provider.label} proves each request. Set its key with PUT "
            f"/v1/webhook-keys/{name}.",
        }
        for name, provider in PROVIDERS.items()
        if provider.headers
    },
}
IDEMPOTENCY_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A unique key for the request. For 48 hours, repeating the key and the body "
    "returns the first response again.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "example": "5f0c8a52-8d0f-4b36-9d3c-2b1a7a8f0a77",
}
IF_NONE_MATCH_PARAMETER = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of an earlier response.",
    "schema": {"type": "string"},
}
RESPONSE_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"description": "The ID of the request; yours, if you sent one."},
    "ETag": {"description": "An identifier of the response's content."},
    "Location": {"description": "The path of the record."},
    "Idempotency-Replayed": {"description": "`true` if this repeats an earlier response."},
    "Retry-After": {"description": "Seconds to wait before a retry."},
    "WWW-Authenticate": {"description": "The authentication scheme, Bearer."},
}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {
            "type": "string",
            "description": "A URN made from the title: urn:matchback:problem:….",
        },
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "An explanation for people."},
        "instance": {"type": "string", "description": "The ID of the request."},
        "errors": {
            "type": "array",
            "description": "The first errors of a 422 response.",
            "maxItems": MAX_LISTED_ERRORS,
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer to the field."},
                    "code": {"type": "string", "description": "An error code for programs."},
                    "detail": {"type": "string", "description": "An explanation for people."},
                },
            },
        },
        "errors_left_out": {
            "type": "integer",
            "description": "Number of further errors; absent if all are listed.",
        },
        "email_id": {
            "type": "string",
            "description": "The email that exists, if a 409 response names one.",
        },
        "arm": {
            "type": ["string", "null"],
            "description": "The arm of that email; null if it was recorded before the experiment.",
        },
    },
}
# The cause of each problem, if its status does not explain it.
PROBLEM_DESCRIPTIONS = {
    400: "Malformed request: invalid JSON, query parameter, cursor or gzip body.",
    401: "The API key or the webhook signature is missing or invalid.",
    403: "The API key lacks the required scope.",
    404: "The record does not exist in your organization.",
    406: "The service has none of the media types in Accept.",
    409: "The record's state does not allow this, or the first request with this key is running.",
    413: "The request body is too large.",
    414: "The request line exceeds 4 kB.",
    415: "The media type or the Content-Encoding is not supported.",
    422: "Some values are not acceptable. `errors` lists them.",
    429: "Too many requests. Retry after the time in Retry-After.",
    431: "A header field exceeds 8 kB, or there are more than 100.",
    503: "The database is unavailable, or too many imports or exports are running.",
}
RETRYABLE_STATUSES = (409, 429, 503)


def describe_response(status: int, content: dict[str, Any] | None, *headers: str) -> dict[str, Any]:
    """Return one response of an operation."""
    named = {
        name: {**RESPONSE_HEADERS[name], "schema": {"type": "string"}}
        for name in ("X-Request-Id", *headers)
    }
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": named}
    return described | ({"content": content} if content else {})


def describe_problem(status: int) -> dict[str, Any]:
    """Return a response that is a problem document."""
    schema = {"$ref": SCHEMA_REF_TEMPLATE.format(model="Problem")}
    more = ["Retry-After"] if status in RETRYABLE_STATUSES else []
    more += ["WWW-Authenticate"] if status == 401 else []
    described = describe_response(status, {problems.PROBLEM_MEDIA_TYPE: {"schema": schema}}, *more)
    return described | {"description": PROBLEM_DESCRIPTIONS.get(status, described["description"])}


def describe_proof(path: str) -> str:
    """Return the description of a webhook's operation."""
    described = (
        "Requires no API key, because the provider proves each request. The body may have "
        "`Content-Encoding: gzip`. A query and superfluous slashes change nothing."
    )
    if "{" in path:
        return described
    return (
        f"{described} For one provider account of many organizations: each event goes to the "
        "organization of the email that its `email_id` names. The operator sets the key with "
        "`matchback webhook-key set --shared`."
    )
