"""The access log: one line per request, with its route and status.

It contains no path, query, headers or body, because these can contain personal data or a key.
"""

import time
from typing import Any

import falcon
import structlog

from config.observability import traces
from config.settings import get_settings

LOGGED_METHODS = frozenset(falcon.HTTP_METHODS)
MILLISECONDS = 1000


def build_log_middleware() -> list[Any]:
    """Return the access-log middleware, if the log level includes successful requests."""
    wanted = [RequestLog()] if get_settings().log_level in ("debug", "info") else []
    return [*wanted, StatusLines()] if traces.is_tracing() else wanted


class RequestLog:
    """The outermost middleware, so that it sees the final response."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("access").bind()  # once, not for each request

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        about: dict[str, Any] = {
            "request_id": req.context.request_id,
            "method": req.method if req.method in LOGGED_METHODS else "OTHER",
            "route": req.uri_template,
            "status": resp.status_code,
            "duration_ms": round((time.perf_counter() - req.context.began) * MILLISECONDS, 1),
        }
        if (organization_id := getattr(req.context, "organization_id", None)) is not None:
            about["organization_id"] = organization_id
        self._log.info("request", **about)


class StatusLines:
    """Set a textual status. OpenTelemetry's Falcon instrumentation cannot read numbers."""

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        resp.status = falcon.code_to_http_status(resp.status)
