"""The requirement of single sign-on, which ends passwords for an organization."""

from documents.access.grants import ProviderProof
from documents.errors import Conflict
from documents.organization import Organization
from documents.sign_on.person import IDENTITY_SEPARATOR
from documents.sign_on.sign_on_provider import SignOnProvider

NOT_PROVED = "Sign in through the provider with its present settings first."


def is_proof_current(provider: SignOnProvider, proof: ProviderProof | None) -> bool:
    """Return whether a session shows that the provider works with its present settings."""
    return (
        proof is not None
        and proof.organization_id == provider.organization_id
        and proof.identity.startswith(provider.issuer + IDENTITY_SEPARATOR)
        and proof.at >= provider.updated_at
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
    if not is_proof_current(provider, proof):
        raise Conflict(NOT_PROVED)
    Organization.objects(id=organization.id).update_one(set__requires_single_sign_on=True)


def stop_requiring_single_sign_on(organization: Organization) -> None:
    """Accept passwords again."""
    Organization.objects(id=organization.id).update_one(set__requires_single_sign_on=False)


def check_client_may_change(
    organization: Organization, provider: SignOnProvider | None, issuer: str, client_id: str
) -> None:
    """Check that a change of the client cannot lock everyone out. A new secret is allowed.

    Raises:
        Conflict: the organization requires single sign-on, and another client is given.
    """
    if provider is None or not organization.requires_single_sign_on:
        return
    if (issuer, client_id) != (provider.issuer, provider.client_id):
        raise Conflict("End the requirement of single sign-on first.")
