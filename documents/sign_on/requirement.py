"""The requirement of single sign-on, which ends passwords for an organization."""

from bson import ObjectId

from documents.access.grants import ProviderProof
from documents.access.staff_session import StaffSession
from documents.errors import Conflict
from documents.organization import Organization
from documents.sign_on.person import is_of_issuer
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx

SIGN_IN_FIRST = "Sign in through the provider with its present settings first."


def is_proof_current(provider: SignOnProvider, proof: ProviderProof | None) -> bool:
    """Return whether a session shows that the provider works with its present settings."""
    return (
        proof is not None
        and proof.organization_id == provider.organization_id
        and is_of_issuer(proof.identity, provider.issuer)
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
        raise Conflict(SIGN_IN_FIRST)
    in_transaction(_require, organization.id, provider)


def _require(tx: Tx, organization_id: ObjectId, provider: SignOnProvider) -> None:
    # The settings can change after the check, and another admin can remove the provider.
    same = {"_id": provider.id, "version": provider.version}
    if tx.database.sign_on_providers.find_one(same, {"_id": 1}, session=tx.session) is None:
        raise Conflict(SIGN_IN_FIRST)
    tx.database.organizations.update_one(
        {"_id": organization_id},
        {"$set": {"requires_single_sign_on": True}, "$inc": {"sign_on_changes": 1}},
        session=tx.session,
    )


def find_current_proof(provider: SignOnProvider) -> ProviderProof | None:
    """Return a member's proof that the provider works with its present settings, or None."""
    named = {"grants.proof.organization_id": provider.organization_id}
    sessions = StaffSession.objects(__raw__=named, expires_at__gt=now())
    proofs = (proof for session in sessions for proof in session.list_proofs())
    return next((one for one in proofs if is_proof_current(provider, one)), None)


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
