"""Sign-out at the provider (OpenID Connect RP-Initiated Logout 1.0)."""

from urllib.parse import urlencode, urlsplit

from documents.sign_on.discovery import discover_provider
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.sign_on_provider import SignOnProvider
from service.sign_on.urls import build_signed_out_url

MAX_HINT_LENGTH = 4096  # servers reject longer URLs


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
