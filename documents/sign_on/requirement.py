"""The requirement of single sign-on, which ends passwords for an organization.

The records of the organization and of its provider note it. One transaction writes both, so that a
crash cannot leave a provider that no admin can change by password.
"""

from collections.abc import Sequence
from typing import Any

from bson import ObjectId

from documents.access.grants import ProviderProof
from documents.access.staff_session import StaffSession
from documents.errors import Conflict, NotFound
from documents.organization import Organization
from documents.sign_on.draft import DRAFT_FIELDS
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
        and _has_present_settings(provider, proof)
    )


def _has_present_settings(provider: SignOnProvider, proof: ProviderProof) -> bool:
    if proof.settings_at is None or provider.settings_at is None:  # of an earlier version
        return bool(proof.at >= (provider.settings_at or provider.updated_at))
    # The times of the sign-in do not show it, because settings can change during the sign-in.
    return bool(proof.settings_at == provider.settings_at)


def require_single_sign_on(
    organization: Organization, provider: SignOnProvider, proof: ProviderProof | None
) -> None:
    """Accept only single sign-on, and links of the operator, from the next request on.

    Args:
        proof: single sign-on of the admin's present session.

    Raises:
        Conflict: the session does not show that the provider works. Otherwise, an incorrect setting
            could lock everyone out.
        NotFound: another request has removed the provider.
    """
    in_transaction(_require, organization.id, provider.id, proof)


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
    in_transaction(_stop_requiring, organization.id)


def _require(
    tx: Tx, organization_id: ObjectId, provider_id: ObjectId, proof: ProviderProof | None
) -> None:
    kept = _find_provider(tx, organization_id)
    if kept is None or kept.id != provider_id:
        raise NotFound
    if not is_proof_current(kept, proof):
        raise Conflict(SIGN_IN_FIRST)
    settings_at = kept.settings_at or kept.updated_at
    _change_provider(tx, kept, {"is_locked": True, "settings_at": settings_at})
    _mark_organization(tx, organization_id, is_required=True)


def _stop_requiring(tx: Tx, organization_id: ObjectId) -> None:
    kept = _find_provider(tx, organization_id)
    if kept is not None:
        _change_provider(tx, kept, {"is_locked": False}, dropped=DRAFT_FIELDS)
    _mark_organization(tx, organization_id, is_required=False)


def _find_provider(tx: Tx, organization_id: ObjectId) -> SignOnProvider | None:
    own = {"organization_id": organization_id, "deleted_at": None}
    row = tx.database.sign_on_providers.find_one(own, session=tx.session)
    return None if row is None else SignOnProvider._from_son(row)


def _change_provider(
    tx: Tx, kept: SignOnProvider, values: dict[str, Any], *, dropped: Sequence[str] = ()
) -> None:
    change: dict[str, Any] = {"$set": {**values, "updated_at": now()}, "$inc": {"version": 1}}
    if dropped:
        change["$unset"] = dict.fromkeys(dropped, "")
    tx.database.sign_on_providers.update_one({"_id": kept.id}, change, session=tx.session)


def _mark_organization(tx: Tx, organization_id: ObjectId, *, is_required: bool) -> None:
    tx.database.organizations.update_one(
        {"_id": organization_id},
        {"$set": {"requires_single_sign_on": is_required}},
        session=tx.session,
    )
