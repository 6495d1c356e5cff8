"""The public keys with which a provider signs tokens, cached in each process.

Only the URL in the provider's metadata names keys. A token's own `jku`, `x5u` and `jwk` headers
name none, because an attacker can write them.
"""

from collections.abc import Mapping
from threading import Lock
from typing import Any

from documents.sign_on.discovery import MAX_CACHED_PROVIDERS, ProviderMetadata
from documents.sign_on.fetching import fetch_object
from documents.sign_on.rejections import SignOnRejected
from documents.storage.process_cache import ProcessCache

Jwk = Mapping[str, Any]
KEY_CACHE_SECONDS = 10 * 60.0  # a key that the provider removed is accepted for at most this time
REFETCH_INTERVAL_SECONDS = 60.0
MAX_KEYS = 100
# In base64url: 2048 to 8192 bits, and an exponent of at most 32 bits.
MIN_MODULUS_LENGTH, MAX_MODULUS_LENGTH, MAX_EXPONENT_LENGTH = 342, 1366, 6
# Key type and curve of each algorithm (RFC 7518, section 3.1). `none` and HMAC are not here: a
# public key must never serve as an HMAC secret.
KEY_KINDS: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
}
PUBLIC_FIELDS = ("kty", "n", "e", "crv", "x", "y")

_cache: "ProcessCache[tuple[str, str], tuple[Jwk, ...]]" = ProcessCache(
    KEY_CACHE_SECONDS, MAX_CACHED_PROVIDERS
)
_refetched: "ProcessCache[tuple[str, str], bool]" = ProcessCache(
    REFETCH_INTERVAL_SECONDS, MAX_CACHED_PROVIDERS
)
_guard = Lock()


def find_signing_key(metadata: ProviderMetadata, key_id: str | None, algorithm: str) -> Any:
    """Return the provider's key with this ID, as joserfc uses it.

    An unknown ID can be a new key, so it makes this process fetch the keys again, at most once a
    minute.

    Raises:
        SignOnRejected: the provider has no such key, or does not answer.
    """
    known = _cache.get(_name(metadata)) or _fetch_keys(metadata)
    found = _choose_key(known, key_id, algorithm)
    if found is None and _may_refetch(metadata):
        found = _choose_key(_fetch_keys(metadata), key_id, algorithm)
    if found is None:
        raise SignOnRejected("key_unknown")
    return _import_key(found)


def forget_signing_keys() -> None:
    """Forget all keys, and when they were fetched."""
    _cache.clear()
    _refetched.clear()


def forget_refetches() -> None:
    """Forget when keys were fetched again, as after a minute."""
    _refetched.clear()


def _name(metadata: ProviderMetadata) -> tuple[str, str]:
    # With the issuer, so that another organization's provider cannot use up the interval.
    return metadata.issuer, metadata.jwks_uri


def _may_refetch(metadata: ProviderMetadata) -> bool:
    with _guard:  # of several threads, one fetches
        if _refetched.get(_name(metadata)):
            return False
        _refetched.put(_name(metadata), True)
    return True


def _fetch_keys(metadata: ProviderMetadata) -> tuple[Jwk, ...]:
    given = fetch_object(metadata.jwks_uri).get("keys")
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_KEYS:
        raise SignOnRejected("provider_metadata")
    keys = tuple(one for one in given if isinstance(one, dict))
    _cache.put(_name(metadata), keys)
    return keys


def _choose_key(keys: tuple[Jwk, ...], key_id: str | None, algorithm: str) -> Jwk | None:
    """Return the key that fits. A token without a key ID needs a provider with only one."""
    fitting = [one for one in keys if _fits(one, algorithm)]
    if key_id is None:
        return fitting[0] if len(fitting) == 1 else None
    return next((one for one in fitting if one.get("kid") == key_id), None)


def _fits(key: Jwk, algorithm: str) -> bool:
    kind, curve = KEY_KINDS[algorithm]
    operations = key.get("key_ops")
    return (
        key.get("kty") == kind
        and key.get("use") in (None, "sig")
        and key.get("alg") in (None, algorithm)
        and (curve is None or key.get("crv") == curve)
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
    )


def _import_key(key: Jwk) -> Any:
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    public = {name: key[name] for name in PUBLIC_FIELDS if name in key}
    if public["kty"] == "RSA" and not _is_sound_rsa(public):
        raise SignOnRejected("provider_metadata")
    try:
        imported = JWKRegistry.import_key(public)
        imported.public_key  # noqa: B018 - joserfc reads the numbers on first use
    except (JoseError, ValueError, TypeError, KeyError):
        raise SignOnRejected("provider_metadata") from None
    return imported


def _is_sound_rsa(key: Jwk) -> bool:
    """Return whether a key is neither easy to break nor slow to use."""
    modulus, exponent = key.get("n"), key.get("e")
    return (
        isinstance(modulus, str)
        and isinstance(exponent, str)
        and MIN_MODULUS_LENGTH <= len(modulus) <= MAX_MODULUS_LENGTH
        and len(exponent) <= MAX_EXPONENT_LENGTH
    )
