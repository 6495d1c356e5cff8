"""Logout tokens that a provider posts (OpenID Connect Back-Channel Logout 1.0, section 2.6)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

from documents.sign_on.discovery import ProviderMetadata, discover_provider
from documents.sign_on.person import is_identifier
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.request_slots import count_requests_for
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.sign_on.used_logout_token import UsedLogoutToken
from documents.values.time import now
from service.sign_on.id_token import CLOCK_LEEWAY_SECONDS, name_claim_reason
from service.sign_on.signed_token import read_signed_claims, read_unverified_claims

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TOKEN_TYPES = ("logout+jwt", "jwt")
# Providers send a token at once, and repeat it for minutes at most.
MAX_TOKEN_AGE = timedelta(minutes=10)
MAX_TOKEN_ID_LENGTH = 500


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """Sessions that a provider has ended.

    Attributes:
        subject: person whose sessions end; None if only `session_id` names them.
        session_id: the provider's session; None for all sessions of the person.
        issued_at: sessions that began later stay.
    """

    organization_id: ObjectId
    issuer: str
    subject: str | None
    session_id: str | None
    issued_at: datetime


def accept_logout_token(
    organization_id: ObjectId, token: str, end_sessions: Callable[[LogoutNotice], None]
) -> LogoutNotice:
    """End the sessions that a logout token names, and return the notice in it.

    The token is noted after the sessions have ended. So a provider that repeats it after a crash
    ends them.

    Raises:
        SignOnRejected: the token is not valid, or had its effect before.
    """
    provider = SignOnProvider.find_open(organization_id)
    if provider is None:
        raise SignOnRejected("provider_missing")
    with count_requests_for(organization_id):
        claims = _read_claims(token, provider)
    notice = _read_notice(claims, provider)
    if UsedLogoutToken.is_used(organization_id, claims["jti"]):
        raise SignOnRejected("logout_replayed")
    end_sessions(notice)
    until = notice.issued_at + MAX_TOKEN_AGE + timedelta(seconds=2 * CLOCK_LEEWAY_SECONDS)
    UsedLogoutToken.note(organization_id, claims["jti"], until)
    return notice


def _read_claims(token: str, provider: SignOnProvider) -> dict[str, Any]:
    # Strangers can post here. A token for another provider must not cause requests to this one.
    if read_unverified_claims(token).get("iss") != provider.issuer:
        raise SignOnRejected("token_issuer")
    metadata = discover_provider(provider.issuer)
    _, claims = read_signed_claims(token, metadata, LOGOUT_TOKEN_TYPES)
    _check_claims(claims, metadata, provider.client_id)
    return claims


def _check_claims(claims: dict[str, Any], metadata: ProviderMetadata, client_id: str) -> None:
    from joserfc.errors import ClaimError
    from joserfc.jwt import JWTClaimsRegistry

    seconds = int(now().timestamp())
    registry = JWTClaimsRegistry(
        seconds,
        CLOCK_LEEWAY_SECONDS,
        iss={"essential": True, "value": metadata.issuer},
        aud={"essential": True, "value": client_id},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
    )
    try:
        registry.validate(claims)
    except ClaimError as error:
        raise SignOnRejected(name_claim_reason(error)) from None
    if claims["iat"] < seconds - MAX_TOKEN_AGE.total_seconds() - CLOCK_LEEWAY_SECONDS:
        raise SignOnRejected("token_expired")


def _read_notice(claims: Mapping[str, Any], provider: SignOnProvider) -> LogoutNotice:
    events = claims.get("events")
    is_logout = isinstance(events, dict) and isinstance(events.get(LOGOUT_EVENT), dict)
    # A nonce marks an ID token, which must not pass for a logout token.
    if not is_logout or "nonce" in claims or len(claims["jti"]) > MAX_TOKEN_ID_LENGTH:
        raise SignOnRejected("logout_event")
    subject, session_id = claims.get("sub"), claims.get("sid")
    named = [one for one in (subject, session_id) if one is not None]
    if not named or not all(map(is_identifier, named)):
        raise SignOnRejected("logout_event")
    return LogoutNotice(
        organization_id=provider.organization_id,
        issuer=provider.issuer,
        subject=subject,
        session_id=session_id,
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
    )
