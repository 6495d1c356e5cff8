"""Errors as problem documents (RFC 9457), and the status of each error.

Neither the documents nor the log contain values from the client.
"""

import logging
from http import HTTPStatus
from typing import Any

import falcon
import orjson
from mongoengine.errors import OperationError
from pymongo.errors import PyMongoError

from config.transient_errors import is_transient
from documents.errors import Conflict, NotFound, Unacceptable
from documents.storage.sealed import UnsealableSecret
from documents.values.validation import InvalidRequest

log = logging.getLogger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"
UNAVAILABLE_RETRY_AFTER_SECONDS = 5

# Errors of requests that changed nothing.
REJECTION_ERRORS = (
    falcon.HTTPError,
    Conflict,
    InvalidRequest,
    NotFound,
    Unacceptable,
    UnsealableSecret,
)


def build_problem(status: int, detail: str, request_id: str, **more: Any) -> dict[str, Any]:
    """Return a problem document."""
    phrase = HTTPStatus(status).phrase
    return {
        "type": f"urn:matchback:problem:{phrase.lower().replace(' ', '-')}",
        "title": phrase,
        "status": status,
        "detail": detail,
        "instance": request_id,
        **more,
    }


def respond_with_problem(
    req: falcon.Request, resp: falcon.Response, status: int, detail: str, **more: Any
) -> None:
    """Respond with a problem document, or in the format that the middleware has set."""
    if (show := getattr(req.context, "show_problem", None)) is not None:
        show(req, resp, status, detail, more)
        return
    resp.status = status
    resp.content_type = PROBLEM_MEDIA_TYPE
    resp.data = orjson.dumps(build_problem(status, detail, req.context.request_id, **more))


def on_http_error(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: Any
) -> None:
    """Respond to an error that Falcon or a resource raised."""
    if error.headers:
        resp.set_headers(error.headers)
    respond_with_problem(
        req, resp, error.status_code, error.description or HTTPStatus(error.status_code).description
    )


def on_not_found(req: falcon.Request, resp: falcon.Response, error: NotFound, params: Any) -> None:
    respond_with_problem(req, resp, 404, "Record not found. Check the ID.")


def on_conflict(req: falcon.Request, resp: falcon.Response, error: Conflict, params: Any) -> None:
    respond_with_problem(req, resp, 409, str(error), **error.about)


def on_invalid(
    req: falcon.Request, resp: falcon.Response, error: InvalidRequest, params: Any
) -> None:
    more = {"errors_left_out": error.left_out} if error.left_out else {}
    respond_with_problem(
        req, resp, 422, "Some values are not acceptable. See `errors`.", errors=error.errors, **more
    )


def on_unacceptable(
    req: falcon.Request, resp: falcon.Response, error: Unacceptable, params: Any
) -> None:
    one = {"pointer": error.pointer, "code": error.code, "detail": error.detail}
    on_invalid(req, resp, InvalidRequest([one]), params)


def on_database_error(
    req: falcon.Request, resp: falcon.Response, error: Exception, params: Any
) -> None:
    cause = error if isinstance(error, PyMongoError) else error.__cause__ or error.__context__
    if cause is None or not is_transient(cause):
        on_bug(req, resp, error, params)
        return
    log.warning("request %s: the database is unavailable", req.context.request_id)
    resp.set_header("Retry-After", str(UNAVAILABLE_RETRY_AFTER_SECONDS))
    respond_with_problem(
        req, resp, 503, "The database is unavailable. Retry later; retrying is safe."
    )


def on_unsealable(
    req: falcon.Request, resp: falcon.Response, error: UnsealableSecret, params: Any
) -> None:
    log.error("request %s: %s", req.context.request_id, error)
    resp.set_header("Retry-After", str(UNAVAILABLE_RETRY_AFTER_SECONDS))
    respond_with_problem(
        req, resp, 503, "Secrets cannot be stored. The operator must set MATCHBACK_MASTER_KEYS."
    )


def on_bug(req: falcon.Request, resp: falcon.Response, error: Exception, params: Any) -> None:
    """Respond to an error in Matchback itself."""
    log.error("request %s failed", req.context.request_id, exc_info=error)
    respond_with_problem(
        req, resp, 500, "Internal error. Quote the request ID in `instance` when you report it."
    )


ERROR_HANDLERS = (
    (Exception, on_bug),
    (PyMongoError, on_database_error),
    (OperationError, on_database_error),
    (falcon.HTTPError, on_http_error),
    (NotFound, on_not_found),
    (Conflict, on_conflict),
    (InvalidRequest, on_invalid),
    (Unacceptable, on_unacceptable),
    (UnsealableSecret, on_unsealable),
)
