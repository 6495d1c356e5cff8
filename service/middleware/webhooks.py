"""Requests to webhooks: URLs with superfluous slashes, and the notes of rejected requests."""

import re

import falcon
from bson import ObjectId

from documents.providers.registry import PROVIDERS
from documents.webhook_rejections import RejectionReason, rejection_notes
from service.metrics.process import WEBHOOK_REJECTIONS

WEBHOOK_PREFIX = "/v1/webhooks/"
WEBHOOK_PATH_PATTERN = re.compile(r"/v1/webhooks/([^/]+)(?:/([^/]+))?")
REPEATED_SLASHES_PATTERN = re.compile("/{2,}")
REASONS_BY_STATUS: dict[int, RejectionReason] = {
    400: "unreadable_body",
    401: "wrong_signature",
    408: "too_slow",
    413: "too_large",
    415: "unknown_compression",
}


def is_webhook(req: falcon.Request) -> bool:
    """Return whether a provider sends this request."""
    return req.path.startswith(WEBHOOK_PREFIX)


class WebhookRequests:
    """Tolerate superfluous slashes in webhook URLs, and note rejected requests.

    People join URLs by hand. The note never changes the response.
    """

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if "//" in req.path or req.path.endswith("/"):
            path = REPEATED_SLASHES_PATTERN.sub("/", req.path).rstrip("/")
            req.path = path if path.startswith(WEBHOOK_PREFIX) else req.path

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if not succeeded and req.method == "POST" and is_webhook(req):
            _note_rejection(req, resp)


def _note_rejection(req: falcon.Request, resp: falcon.Response) -> None:
    reason = getattr(req.context, "rejection", REASONS_BY_STATUS.get(resp.status_code))
    found = WEBHOOK_PATH_PATTERN.fullmatch(req.path)
    if reason is None or found is None or found[1] not in PROVIDERS:
        return
    WEBHOOK_REJECTIONS.labels(found[1], reason).inc()
    if found[2] and ObjectId.is_valid(found[2]):
        rejection_notes.note(found[2], found[1], reason)
