"""Who calls, and for which organization: decided by the bearer key, and by nothing else."""

import time
from threading import Lock

import falcon
from cachetools import TTLCache

from documents.api_key import PREFIX, ApiKey

# How long a process may not notice that a key was revoked.
FRESH_SECONDS = 0.8
KEYS_KEPT = 10_000
LONGEST_SECRET = 200

_keys: TTLCache[str, ApiKey] = TTLCache(KEYS_KEPT, FRESH_SECONDS, timer=time.monotonic)
_guard = Lock()


def authorise(req: falcon.Request, scope: str) -> None:
    """Put the caller's organization into the request's context.

    Raises:
        falcon.HTTPUnauthorized: no key, or not a valid one.
        falcon.HTTPForbidden: it lacks the scope.
    """
    kind, _, secret = (req.auth or "").partition(" ")
    key = _find(secret.strip()) if kind.lower() == "bearer" else None
    if key is None or not key.is_current():
        raise falcon.HTTPUnauthorized(
            description="Send a valid API key as «Authorization: Bearer mb_…».",
            challenges=["Bearer"],
        )
    if not key.allows(scope):
        raise falcon.HTTPForbidden(description=f"This key lacks the scope {scope}.")
    req.context.organization_id = key.organization_id


def forget_keys() -> None:
    """Ask the database anew for every key."""
    with _guard:
        _keys.clear()


def _find(secret: str) -> ApiKey | None:
    if not secret.startswith(PREFIX) or len(secret) > LONGEST_SECRET:
        return None
    with _guard:
        key = _keys.get(secret)
    if key is None:
        key = ApiKey.authenticate(secret)
        if key is not None:
            with _guard:
                _keys[secret] = key
    return key
