"""The requirement of single sign-on, which ends passwords for an organization."""

from documents.access.grants import ProviderProof
from documents.access.staff_session import StaffSession
from documents.errors import Conflict
from documents.organization import Organization
from documents.sign_on.draft import clear_draft
from documents.sign_on.person import is_of_issuer
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.values.time import now

SIGN_IN_FIRST = "Sign in through the provider with its present settings first."


def is_proof_current(provider: SignOnProvider, proof: ProviderProof | None) -> bool:
    """Return whether a session shows that the provider works with its present settings."""
    return (
        proof is not None
        and proof.organization_id == provider.organization_id
        and is_of_issuer(proof.identity, provider.issuer)
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
            raise Conflict(SIGN_IN_FIRST)
        kept.is_locked = True
        kept.settings_at = kept.settings_at or kept.updated_at

    provider.change(lock)
    Organization.objects(id=organization.id).update_one(set__requires_single_sign_on=True)


def find_current_proof(provider: SignOnProvider) -> ProviderProof | None:
    """Return a member's proof that the provider works with its present settings, or None."""
    named = {"grants.proof.organization_id": provider.organization_id}
    sessions = StaffSession.objects(__raw__=named, expires_at__gt=now())
    proofs = (proof for session in sessions for proof in session.list_proofs())
    return next((one for one in proofs if is_proof_current(provider, one)), None)


def stop_requiring_single_sign_on(organization: Organization) -> None:
    """Accept passwords again, and changes of the provider without a sign-in.

    Settings that wait for a sign-in are dropped.
    """

    def unlock(kept: SignOnProvider) -> None:
        kept.is_locked = False
        clear_draft(kept)

    provider = SignOnProvider.of(organization.id)
    if provider is not None:
        provider.change(unlock)
    Organization.objects(id=organization.id).update_one(set__requires_single_sign_on=False)
