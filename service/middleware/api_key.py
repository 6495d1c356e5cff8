"""Authentication: only the bearer key decides the client and its organization."""

import re
from urllib.parse import unquote

import falcon

from documents.access.api_key import PREFIX, SCOPES, ApiKey
from documents.storage.process_cache import ProcessCache
from service.middleware.client_address import client_address
from service.middleware.rate_limit import take_as_key, take_as_stranger

LONGEST_SECRET = 200
SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")

# Each with the scopes that it allows: to read a document's list takes a while.
Known = tuple[ApiKey, frozenset[str]]
# For so long another process may accept a key that was revoked.
_keys = ProcessCache[str, Known]()


def authorise(req: falcon.Request, scope: str) -> None:
    """Put the caller's organization into the request's context.

    Raises:
        falcon.HTTPUnauthorized: no key, or not a valid one.
        falcon.HTTPForbidden: it lacks the scope.
        falcon.HTTPTooManyRequests: it, or an address without one, asks too often.
    """
    kind, _, secret = (req.auth or "").partition(" ")
    known = _find(secret.strip()) if kind.lower() == "bearer" else None
    if known is None or not known[0].is_current():
        take_as_stranger(client_address(req))
        raise falcon.HTTPUnauthorized(
            description="Send a valid API key as «Authorization: Bearer mb_…».",
            challenges=["Bearer"],
        )
    key, allowed = known
    take_as_key(key.id)
    if scope not in allowed:
        raise falcon.HTTPForbidden(description=f"This key lacks the scope {scope}.")
    req.context.organization_id = key.organization_id
    req.context.actor = f"key:{key.id}"


class NoKeysInUrls:
    """Middleware: a key in a URL is in the logs of everything on the way, so it is no key."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if SECRET.search(req.path) or SECRET.search(unquote(req.query_string)):
            raise falcon.HTTPBadRequest(
                description="An API key stands in the URL, where logs keep it: revoke it, and "
                "send keys as «Authorization: Bearer mb_…» only."
            )


def forget_keys() -> None:
    """Ask the database anew for every key."""
    _keys.clear()


def _find(secret: str) -> Known | None:
    if not secret.startswith(PREFIX) or len(secret) > LONGEST_SECRET:
        return None
    known = _keys.get(secret)
    if known is None and (key := ApiKey.authenticate(secret)) is not None:
        key.note_use()
        known = key, frozenset(scope for scope in SCOPES if key.allows(scope))
        _keys.put(secret, known)
    return known
