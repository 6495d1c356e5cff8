"""Sign-out at the provider (OpenID Connect RP-Initiated Logout 1.0)."""

from urllib.parse import urlencode, urlsplit

from documents.access.grants import ProviderProof
from documents.sign_on.discovery import discover_provider
from documents.sign_on.person import is_of_issuer
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.request_slots import count_requests_for
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.storage.sealed import UnsealableSecret, unseal_secret
from service.sign_on.urls import build_signed_out_url

MAX_HINT_LENGTH = 4096  # servers reject longer URLs


def find_provider_sign_out_url(proof: ProviderProof | None) -> str | None:
    """Return the URL that ends a session's single sign-on at the provider; None if there is none.

    Args:
        proof: the single sign-on; None if the session began in another way.
    """
    provider = SignOnProvider.of(proof.organization_id) if proof else None
    if proof is None or provider is None:
        return None
    if not is_of_issuer(proof.identity, provider.issuer):
        return None  # the organization has changed its provider since then
    try:
        id_token = unseal_secret(proof.id_token) if proof.id_token else None
    except UnsealableSecret:
        id_token = None
    return build_provider_sign_out_url(provider, id_token)


def build_provider_sign_out_url(
    provider: SignOnProvider, id_token: str | None = None
) -> str | None:
    """Return the URL that ends the session at the provider; None if there is none.

    A provider that does not answer never prevents sign-out from Matchback.

    Args:
        id_token: token of the session. Without it, most providers ask the person to confirm.
    """
    if not provider.ends_sessions:
        return None
    try:
        with count_requests_for(provider.organization_id):
            endpoint = discover_provider(provider.issuer).end_session_endpoint
    except SignOnRejected:
        return None
    if endpoint is None:
        return None
    query = {
        "client_id": provider.client_id,
        "post_logout_redirect_uri": build_signed_out_url(),
    }
    if id_token and len(id_token) <= MAX_HINT_LENGTH:
        query["id_token_hint"] = id_token
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"
