"""The middleware that all requests and responses share."""

import hashlib
import random
import time
from typing import Any

import falcon

from config.observability import context
from config.settings import Settings
from service.metrics.process import count_request
from service.middleware.api_key import NoKeysInUrls
from service.middleware.content_coding import GZIP_CODINGS, read_coding
from service.middleware.webhooks import WebhookRequests, is_webhook

ETAG_BYTES = 16
REQUEST_ID_BITS = 128
REJECTION_KEY = (
    "matchback.refusal"  # in the environment: the error with which the server rejects a request
)
HSTS_MAX_AGE_SECONDS = 365 * 24 * 3600
# Source: OWASP's REST Security and HTTP Headers cheat sheets.
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
EXPOSED_HEADERS = ("ETag", "Idempotency-Replayed", "Location", "Retry-After", "X-Request-Id")


def make_request_id() -> str:
    """Return a new request ID. It is unique but predictable, which saves a system call."""
    return f"{random.getrandbits(REQUEST_ID_BITS):032x}"


class RequestMetrics:
    """Count and time requests. This comes first, so that the time includes all other middleware."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.began = time.perf_counter()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        seconds = time.perf_counter() - req.context.began
        count_request(req.method, req.uri_template, resp.status_code, seconds)


class RequestIds:
    """Give each response a request ID: the client's if it is valid, otherwise a new one."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = req.get_header("X-Request-Id") or ""
        is_valid = given and context.REQUEST_ID_PATTERN.fullmatch(given)
        id_ = given if is_valid else make_request_id()
        req.context.request_id = id_
        resp.set_header("X-Request-Id", id_)
        context.set_request(id_)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        context.clear_context()


class SecurityHeaders:
    """Set headers that stop browsers from caching, embedding or sniffing a response."""

    def __init__(self, is_https: bool) -> None:
        self._headers = dict(SECURITY_HEADERS)
        if is_https:
            self._headers["Strict-Transport-Security"] = f"max-age={HSTS_MAX_AGE_SECONDS}"

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_headers(self._headers)


class HeadRequests:
    """Treat HEAD as GET without the body (RFC 9110)."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.is_head = req.method == "HEAD"
        if req.context.is_head:
            req.method = "GET"

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if getattr(req.context, "is_head", False):
            req.method = "HEAD"  # Falcon omits the body


class ConditionalGets:
    """Set an ETag on responses to GET, and return 304 if the client has the response (RFC 9110)."""

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if req.method != "GET" or resp.status_code != 200 or resp.data is None:
            return
        # The basis omits fields that always change, so its tag is weak.
        basis = getattr(resp.context, "etag_basis", None)
        tag = hashlib.blake2b(basis or resp.data, digest_size=ETAG_BYTES).hexdigest()
        resp.set_header("ETag", f'W/"{tag}"' if basis else f'"{tag}"')
        resp.set_header("Cache-Control", "private, no-cache")  # cached, but validated each time
        if any(known in {"*", tag} for known in req.if_none_match or ()):
            resp.status, resp.data = 304, None
            resp.delete_header("Content-Type")


class Rejections:
    """Reject requests with a server error or a Content-Encoding. Webhooks may be gzip."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if (refusal := req.env.get(REJECTION_KEY)) is not None:
            raise refusal
        coding = read_coding(req)
        if coding == "identity" or (coding in GZIP_CODINGS and is_webhook(req)):
            return
        raise falcon.HTTPUnsupportedMediaType(
            description="Unsupported Content-Encoding. Send the body uncompressed."
        )


def build_middleware(config: Settings) -> list[Any]:
    """Return all middleware. Responses pass it in reverse order."""
    cross_origin: Any = falcon.CORSMiddleware(
        allow_origins=list(config.cors_origins), expose_headers=list(EXPOSED_HEADERS)
    )
    return [
        RequestMetrics(),
        RequestIds(),
        SecurityHeaders(is_https=config.url.startswith("https://")),
        *([cross_origin] if config.cors_origins else []),
        HeadRequests(),
        ConditionalGets(),
        WebhookRequests(),
        Rejections(),
        NoKeysInUrls(),
    ]
