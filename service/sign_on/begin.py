"""The beginning of a sign-in: the URL at the provider (authorization code flow with PKCE)."""

from documents.sign_on.discovery import discover_provider
from documents.sign_on.draft import build_tried_provider
from documents.sign_on.pending_sign_in import PendingSignIn
from documents.sign_on.request_slots import count_requests_for
from documents.sign_on.sign_on_provider import SignOnProvider
from service.sign_on.urls import build_callback_url

SCOPES = ("openid", "email", "profile")


def begin_sign_in(
    provider: SignOnProvider,
    browser: str,
    back: str = "",
    login_hint: str = "",
    *,
    is_trial: bool = False,
) -> str:
    """Return the URL at the provider to which the browser goes.

    Args:
        browser: random secret in a cookie of this browser. The answer needs the same one.
        back: page of the dashboard that the person wanted.
        login_hint: address that the person typed, or nothing.
        is_trial: whether to try the settings that wait.

    Raises:
        SignOnRejected: the provider does not answer, or its metadata is not acceptable.
    """
    from authlib.oauth2.client import OAuth2Client

    with count_requests_for(provider.organization_id):
        metadata = discover_provider(provider.issuer)
    draft_id = provider.draft_id if is_trial else None
    pending = PendingSignIn.begin(provider, browser, back, draft_id)
    asked = build_tried_provider(provider) if is_trial else provider
    client = OAuth2Client(
        None,
        provider.client_id,
        scope=" ".join(dict.fromkeys((*SCOPES, *asked.scopes))),
        redirect_uri=build_callback_url(provider.organization_id),
        code_challenge_method="S256",
    )
    url, _ = client.create_authorization_url(
        metadata.authorization_endpoint,
        state=pending.state,
        nonce=pending.nonce,
        code_verifier=pending.verifier,
        login_hint=login_hint or None,
    )
    return str(url)
