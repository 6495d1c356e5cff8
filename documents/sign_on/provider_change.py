"""Changes of an organization's provider by an admin."""

from bson import ObjectId

from documents.organization import Organization
from documents.sign_on.ended_sessions import end_former_sessions
from documents.sign_on.requirement import check_client_may_change
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
        Conflict: the change could lock everyone out.
        Unacceptable: the issuer, the client ID or the secret is not valid.
        UnsealableSecret: there is no master key.
    """
    known = SignOnProvider.of(organization.id)
    check_client_may_change(organization, known, issuer, client_id)
    changed = SignOnProvider.put(organization.id, issuer, client_id, client_secret)
    if known is not None and known.issuer != changed.issuer:
        end_former_sessions(organization.id, changed.issuer, kept_id=session_id)
    return changed


def has_issuer(organization_id: ObjectId, issuer: str) -> bool:
    """Return whether this is the issuer of the organization's present provider."""
    provider = SignOnProvider.of(organization_id)
    return provider is not None and provider.issuer == issuer
