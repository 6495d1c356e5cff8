"""The requirement of single sign-on, which ends passwords for an organization.

While it lasts, changes of the provider wait for a sign-in that proves them; see draft.py.
"""

from typing import Any

from bson import ObjectId

from documents.access.grants import ProviderProof
from documents.errors import Conflict
from documents.organization import Organization
from documents.sign_on.draft import clear_draft, propose_rules, propose_secret
from documents.sign_on.ended_sessions import end_former_sessions
from documents.sign_on.person import IDENTITY_SEPARATOR
from documents.sign_on.provider_fields import check_rules, check_text
from documents.sign_on.sign_on_provider import SignOnProvider

NOT_PROVED = "Sign in through the provider with its present settings first."


def is_proof_current(provider: SignOnProvider, proof: ProviderProof | None) -> bool:
    """Return whether a session shows that the provider works with its present settings."""
    return (
        proof is not None
        and proof.organization_id == provider.organization_id
        and proof.identity.startswith(provider.issuer + IDENTITY_SEPARATOR)
        and proof.at >= (provider.settings_at or provider.updated_at)
    )


def require_single_sign_on(
    organization: Organization, provider: SignOnProvider, proof: ProviderProof | None
) -> None:
    """Accept only single sign-on, and links of the operator, from the next request on.

    Args:
        proof: single sign-on of the admin's present session.

    Raises:
        Conflict: the session does not show that the provider works. Otherwise, an incorrect setting
            could lock everyone out.
    """

    def lock(kept: SignOnProvider) -> None:
        if not is_proof_current(kept, proof):
            raise Conflict(NOT_PROVED)
        kept.is_locked = True
        kept.settings_at = kept.settings_at or kept.updated_at

    provider.change(lock)
    Organization.objects(id=organization.id).update_one(set__requires_single_sign_on=True)


def stop_requiring_single_sign_on(organization: Organization, provider: SignOnProvider) -> None:
    """Accept passwords again, and changes of the provider without a sign-in.

    Settings that wait for a sign-in are dropped.
    """
    Organization.objects(id=organization.id).update_one(set__requires_single_sign_on=False)

    def unlock(kept: SignOnProvider) -> None:
        kept.is_locked = False
        clear_draft(kept)

    provider.change(unlock)


def change_provider(
    organization: Organization,
    issuer: str,
    client_id: str,
    client_secret: str | None,
    *,
    session_id: str | None = None,
) -> SignOnProvider:
    """Set the provider. With another issuer, end the sessions of the former one.

    Args:
        session_id: session of the admin, which stays.

    Raises:
        Conflict: single sign-on is required, and another client is given.
        Unacceptable: the issuer, the client ID or the secret is not valid.
        UnsealableSecret: there is no master key.
    """
    known = SignOnProvider.of(organization.id)
    if known is not None and _is_locked(organization, known):
        if (issuer, client_id) != (known.issuer, known.client_id):
            raise Conflict("End the requirement of single sign-on first.")
        if client_secret is None:
            return known
        return propose_secret(known, check_text(client_secret, "client_secret"))
    changed = SignOnProvider.put(organization.id, issuer, client_id, client_secret)
    if known is not None and known.issuer != changed.issuer:
        end_former_sessions(organization.id, changed.issuer, kept_id=session_id)
    return changed


def change_rules(
    organization: Organization, provider: SignOnProvider, **rules: Any
) -> SignOnProvider:
    """Set the rules of admission; see `check_rules`.

    Raises:
        Unacceptable: a rule is not valid.
        Conflict: another admin has just required single sign-on.
    """
    if _is_locked(organization, provider):
        return propose_rules(provider, check_rules(**rules))
    return provider.set_rules(**rules)


def has_issuer(organization_id: ObjectId, issuer: str) -> bool:
    """Return whether this is the issuer of the organization's present provider."""
    provider = SignOnProvider.of(organization_id)
    return provider is not None and provider.issuer == issuer


def _is_locked(organization: Organization, provider: SignOnProvider) -> bool:
    return bool(provider.is_locked or organization.requires_single_sign_on)
