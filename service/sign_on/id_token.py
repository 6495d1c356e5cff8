"""Validation of ID tokens (OpenID Connect Core 1.0, section 3.1.3.7), with Authlib."""

from collections.abc import Mapping
from typing import Any

from documents.sign_on.discovery import ProviderMetadata
from documents.sign_on.pending_sign_in import PENDING_SIGN_IN_LIFETIME
from documents.sign_on.rejections import SignOnReason, SignOnRejected
from documents.values.time import now
from service.sign_on.signed_token import read_signed_claims

CLOCK_LEEWAY_SECONDS = 60
# The provider issues a token after the sign-in began, because the token contains its nonce.
MAX_ID_TOKEN_AGE_SECONDS = PENDING_SIGN_IN_LIFETIME.total_seconds() + CLOCK_LEEWAY_SECONDS
ID_TOKEN_TYPES = ("jwt",)
CLAIM_REASONS: dict[str, SignOnReason] = {
    "iss": "token_issuer",
    "aud": "token_audience",
    "azp": "token_party",
    "exp": "token_expired",
    "nbf": "token_early",
    "iat": "token_early",
    "nonce": "token_nonce",
    "sub": "token_subject",
}


def read_id_token(
    token: str,
    metadata: ProviderMetadata,
    *,
    client_id: str,
    nonce: str,
    access_token: str | None = None,
) -> dict[str, Any]:
    """Return the claims of a valid ID token.

    Raises:
        SignOnRejected: the token is not valid, not for this client, or not for this sign-in.
    """
    from authlib.oidc.core import CodeIDToken
    from joserfc.errors import ClaimError

    header, claims = read_signed_claims(token, metadata, ID_TOKEN_TYPES)
    _check_texts(claims)
    seconds = int(now().timestamp())
    options = {
        "iss": {"essential": True, "value": metadata.issuer},
        "aud": {"essential": True, "value": client_id},
    }
    params = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
    try:
        CodeIDToken(claims, header, options, params).validate(seconds, CLOCK_LEEWAY_SECONDS)
    except ClaimError as error:
        raise SignOnRejected(name_claim_reason(error)) from None
    if claims["iat"] < seconds - MAX_ID_TOKEN_AGE_SECONDS:
        raise SignOnRejected("token_expired")
    return claims


def name_claim_reason(error: Any) -> SignOnReason:
    """Return the reason of an error about a claim."""
    return CLAIM_REASONS.get(str(error.claim).partition(",")[0], "token_claims")


def _check_texts(claims: Mapping[str, Any]) -> None:
    """Check that these claims are texts, because Authlib does not expect other values."""
    for name in ("nonce", "azp", "at_hash"):
        given = claims.get(name, "")
        if not isinstance(given, str) or not given.isascii():
            raise SignOnRejected(CLAIM_REASONS.get(name, "token_claims"))
