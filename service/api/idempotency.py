"""`Idempotency-Key` on a POST: repeating the key and the body repeats the first response."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import falcon

from documents.storage.idempotency import IdempotencyKey, KeyInUse, KeyReused
from documents.values.validation import InvalidRequest
from service.api.parsing import bad_request
from service.api.problems import REJECTION_ERRORS

IDEMPOTENCY_KEY_PATTERN = re.compile(r"[\x21-\x7e]{1,255}")


@contextmanager
def handle_idempotency_key(req: falcon.Request, resp: falcon.Response) -> Iterator[bool]:
    """Yield whether the request must run. If not, the response is already set.

    `req.context.record_id` is the ID for a record that the request creates, or None without a key.
    """
    req.context.record_id = None
    key = req.get_header("Idempotency-Key") if req.method == "POST" else None
    if key is None or not hasattr(req.context, "organization_id"):
        yield True
        return
    taken = _take(req, key)
    if taken.status:
        _replay(resp, taken, key)
        yield False
        return
    req.context.record_id = taken.record_id
    try:
        yield True
    except REJECTION_ERRORS:
        taken.release()
        raise
    except Exception:
        taken.abandon()
        raise
    taken.keep(key, falcon.http_status_to_code(resp.status), resp.location, resp.data or b"")


def _take(req: falcon.Request, key: str) -> IdempotencyKey:
    if not IDEMPOTENCY_KEY_PATTERN.fullmatch(key):
        raise bad_request("Invalid Idempotency-Key. Use 1 to 255 visible ASCII characters.")
    request = f"{req.method} {req.path}\n".encode() + getattr(req.context, "body", b"")
    try:
        return IdempotencyKey.take(req.context.organization_id, key, request)
    except KeyInUse:
        # Retry-After distinguishes this conflict from a permanent one.
        raise falcon.HTTPConflict(
            description="The first request with this Idempotency-Key is running. Retry later.",
            headers={"Retry-After": "1"},
        ) from None
    except KeyReused:
        error = {
            "pointer": "",
            "code": "idempotency_key_reused",
            "detail": "This Idempotency-Key was used with another request. Use a new key.",
        }
        raise InvalidRequest([error]) from None


def _replay(resp: falcon.Response, taken: IdempotencyKey, key: str) -> None:
    resp.status = taken.status
    resp.content_type = falcon.MEDIA_JSON
    resp.data = taken.open(key)
    resp.set_header("Idempotency-Replayed", "true")
    if taken.location:
        resp.location = taken.location
