"""Authentication: only the bearer key determines the client and its organization."""

import re
from urllib.parse import unquote

import falcon

from documents.access.api_key import PREFIX, SCOPES, ApiKey
from documents.storage.process_cache import ProcessCache
from service.middleware.client_address import client_address
from service.middleware.rate_limit import take_as_key, take_as_stranger

LONGEST_SECRET = 200
SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")

# Each key with its scopes, because reading a list from a document is slow.
Known = tuple[ApiKey, frozenset[str]]
# Another process may accept a revoked key until its cache entry expires.
_keys = ProcessCache[str, Known]()


def authorise(req: falcon.Request, scope: str) -> None:
    """Check the API key, and store its organization in the request's context.

    Raises:
        falcon.HTTPUnauthorized: the key is missing or invalid.
        falcon.HTTPForbidden: the key lacks the scope.
        falcon.HTTPTooManyRequests: the key, or an address without one, exceeded its limit.
    """
    kind, _, secret = (req.auth or "").partition(" ")
    known = _find(secret.strip()) if kind.lower() == "bearer" else None
    if known is None or not known[0].is_current():
        take_as_stranger(client_address(req))
        raise falcon.HTTPUnauthorized(
            description="Missing or invalid API key. Send `Authorization: Bearer mb_…`.",
            challenges=["Bearer"],
        )
    key, allowed = known
    take_as_key(key.id)
    if scope not in allowed:
        raise falcon.HTTPForbidden(
            description=f"This API key lacks the scope {scope}. Use a key that has it."
        )
    req.context.organization_id = key.organization_id
    req.context.actor = f"key:{key.id}"


class NoKeysInUrls:
    """Middleware that rejects API keys in URLs, because proxies and servers log URLs."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if SECRET.search(req.path) or SECRET.search(unquote(req.query_string)):
            raise falcon.HTTPBadRequest(
                description="API keys must not appear in URLs, because logs store URLs. Revoke "
                "this key and send keys in the Authorization header."
            )


def forget_keys() -> None:
    """Clear the cache, so that every key is read from the database again."""
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
