"""Changes of an organization's provider by an admin.

While single sign-on is required, a change waits for a sign-in that proves it; see draft.py.
"""

from typing import Any

from bson import ObjectId

from documents.errors import Conflict
from documents.organization import Organization
from documents.sign_on.draft import propose_rules, propose_secret
from documents.sign_on.ended_sessions import end_former_sessions
from documents.sign_on.provider_fields import check_rules, check_text
from documents.sign_on.sign_on_provider import SignOnProvider


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
