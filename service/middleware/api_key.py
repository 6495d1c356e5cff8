"""Authentication: only the bearer key determines the client and its organization."""

import re
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote

import falcon
from bson import ObjectId

from documents.access.api_key import API_KEY_PREFIX, API_KEY_SCOPES, ApiKey, is_expired
from documents.storage.process_cache import ProcessCache
from service.middleware.client_address import find_client_address
from service.middleware.rate_limit import count_anonymous_request, count_key_request

MAX_API_KEY_LENGTH = 200
API_KEY_PATTERN = re.compile(rf"{API_KEY_PREFIX}[A-Za-z0-9_-]{{43}}")


class KnownKey(NamedTuple):
    """A key's fields that requests need, because reading them from a document is slow."""

    id: str
    organization_id: ObjectId
    expires_at: datetime | None
    scopes: frozenset[str]
    actor: str


# Another process may accept a revoked key until its cache entry expires.
_keys = ProcessCache[str, KnownKey]()


def authorize_request(req: falcon.Request, scope: str) -> None:
    """Check the API key, and store its organization in the request's context.

    Raises:
        falcon.HTTPUnauthorized: the key is missing or invalid.
        falcon.HTTPForbidden: the key lacks the scope.
        falcon.HTTPTooManyRequests: the key, or an address without one, exceeded its limit.
    """
    kind, _, secret = (req.auth or "").partition(" ")
    known = _find(secret.strip()) if kind.lower() == "bearer" else None
    if known is None or is_expired(known.expires_at):
        count_anonymous_request(find_client_address(req))
        raise falcon.HTTPUnauthorized(
            description="Missing or invalid API key. Send `Authorization: Bearer mb_…`.",
            challenges=["Bearer"],
        )
    count_key_request(known.id)
    if scope not in known.scopes:
        raise falcon.HTTPForbidden(
            description=f"This API key lacks the scope {scope}. Use a key that has it."
        )
    req.context.organization_id = known.organization_id
    req.context.actor = known.actor


class NoKeysInUrls:
    """Middleware that rejects API keys in URLs, because proxies and servers log URLs."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        if API_KEY_PATTERN.search(req.path) or API_KEY_PATTERN.search(unquote(req.query_string)):
            raise falcon.HTTPBadRequest(
                description="API keys must not appear in URLs, because logs store URLs. Revoke "
                "this key and send keys in the Authorization header."
            )


def forget_api_keys() -> None:
    """Clear the cache, so that every key is read from the database again."""
    _keys.clear()


def _find(secret: str) -> KnownKey | None:
    if not secret.startswith(API_KEY_PREFIX) or len(secret) > MAX_API_KEY_LENGTH:
        return None
    known = _keys.get(secret)
    if known is None and (key := ApiKey.authenticate(secret)) is not None:
        key.note_use()
        scopes = frozenset(filter(key.allows, API_KEY_SCOPES))
        id_ = str(key.id)
        known = KnownKey(id_, key.organization_id, key.expires_at, scopes, f"key:{id_}")
        _keys.put(secret, known)
    return known
