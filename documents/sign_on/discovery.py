"""The metadata that a provider publishes (OpenID Connect Discovery 1.0), cached in each process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from documents.sign_on.fetching import fetch_object, forget_failure, forget_failures
from documents.sign_on.provider_url import build_discovery_url, find_provider_url_problem
from documents.sign_on.rejections import SignOnRejected
from documents.storage.process_cache import ProcessCache

METADATA_CACHE_SECONDS = 15 * 60.0
MAX_CACHED_PROVIDERS = 500
REQUIRED_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
OPTIONAL_ENDPOINTS = ("userinfo_endpoint", "end_session_endpoint")


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The metadata that a sign-in needs.

    Attributes:
        sends_secret_in_body: whether the token endpoint accepts `client_secret_post`.
        announces_issuer: whether the answer to a sign-in names the issuer (RFC 9207).
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    sends_secret_in_body: bool = False
    announces_issuer: bool = False


_cache: "ProcessCache[str, ProviderMetadata]" = ProcessCache(
    METADATA_CACHE_SECONDS, MAX_CACHED_PROVIDERS
)


def discover_provider(issuer: str, *, is_fresh: bool = False) -> ProviderMetadata:
    """Return a provider's metadata. A change at the provider takes effect within 15 minutes.

    Args:
        is_fresh: whether to read it from the provider in any case, as for a change of settings.

    Raises:
        SignOnRejected: the provider does not answer, or its metadata is not acceptable.
    """
    known = None if is_fresh else _cache.get(issuer)
    if known is None:
        url = build_discovery_url(issuer)
        if is_fresh:
            forget_failure(url)
        known = read_metadata(issuer, fetch_object(url))
        _cache.put(issuer, known)
    return known


def forget_metadata() -> None:
    """Forget all metadata, and all failures to read it."""
    _cache.clear()
    forget_failures()


def read_metadata(issuer: str, given: Mapping[str, Any]) -> ProviderMetadata:
    """Return the metadata in a discovery document.

    Raises:
        SignOnRejected: the document belongs to another issuer, or names an endpoint that Matchback
            must not call.
    """
    if given.get("issuer") != issuer:
        raise SignOnRejected("provider_issuer")
    types = given.get("response_types_supported", ["code"])
    if not isinstance(types, list) or "code" not in types:
        raise SignOnRejected("provider_metadata")
    required = {name: _read_endpoint(given.get(name)) for name in REQUIRED_ENDPOINTS}
    optional = {name: _read_endpoint(given[name]) for name in OPTIONAL_ENDPOINTS if given.get(name)}
    methods = given.get("token_endpoint_auth_methods_supported")
    return ProviderMetadata(
        issuer=issuer,
        **required,
        **optional,
        sends_secret_in_body=isinstance(methods, list) and "client_secret_post" in methods,
        announces_issuer=given.get("authorization_response_iss_parameter_supported") is True,
    )


def _read_endpoint(url: Any) -> str:
    if not isinstance(url, str):
        raise SignOnRejected("provider_metadata")
    if find_provider_url_problem(url):
        raise SignOnRejected("provider_address")
    return url
