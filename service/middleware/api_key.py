"""Authentication: only the bearer key decides the client and its organization."""

import re
from urllib.parse import unquote

import falcon

from documents.access.api_key import API_KEY_PREFIX, API_KEY_SCOPES, ApiKey
from documents.storage.process_cache import ProcessCache
from service.middleware.client_address import find_client_address
from service.middleware.rate_limit import count_anonymous_request, count_key_request

MAX_API_KEY_LENGTH = 200
API_KEY_PATTERN = re.compile(rf"{API_KEY_PREFIX}[A-Za-z0-9_-]{{43}}")

# Each with the scopes that it allows: to read a document's list takes a while.
KnownKey = tuple[ApiKey, frozenset[str]]
# For so long another process may accept a key that was revoked.
_keys = ProcessCache[str, KnownKey]()


def authorize_request(req: falcon.Request, scope: str) -> None:
    """Put the caller's organization into the request's context.

    Raises:
        falcon.HTTPUnauthorized: no key, or not a valid one.
        falcon.HTTPForbidden: it lacks the scope.
        falcon.HTTPTooManyRequests: it, or an address without one, asks too often.
    """
    kind, _, secret = (req.auth or "").partition(" ")
    known = _find(secret.strip()) if kind.lower() == "bearer" else None
    if known is None or not known[0].is_current():
        count_anonymous_request(find_client_address(req))
        raise falcon.HTTPUnauthorized(
            description="Send a valid API key as «Authorization: Bearer mb_…».",
            challenges=["Bearer"],
        )
    key, allowed = known
    count_key_request(key.id)
    if scope not in allowed:
        raise falcon.HTTPForbidden(description=f"This key lacks the scope {scope}.")
    req.context.organization_id = key.organization_id
    req.context.actor = f"key:{key.id}"


class NoKeysInUrls:
    """Middleware: a key in a URL is in the logs of everything on the way, so it is no key."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if API_KEY_PATTERN.search(req.path) or API_KEY_PATTERN.search(unquote(req.query_string)):
            raise falcon.HTTPBadRequest(
                description="An API key stands in the URL, where logs keep it: revoke it, and "
                "send keys as «Authorization: Bearer mb_…» only."
            )


def forget_api_keys() -> None:
    """Ask the database anew for every key."""
    _keys.clear()


def _find(secret: str) -> KnownKey | None:
    if not secret.startswith(API_KEY_PREFIX) or len(secret) > MAX_API_KEY_LENGTH:
        return None
    known = _keys.get(secret)
    if known is None and (key := ApiKey.authenticate(secret)) is not None:
        key.note_use()
        known = key, frozenset(scope for scope in API_KEY_SCOPES if key.allows(scope))
        _keys.put(secret, known)
    return known
