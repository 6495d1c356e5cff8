"""Changes of an organization's provider, and its removal.

While single sign-on is required, a change waits for a sign-in that proves it; see draft.py. A
member's ID at a provider begins with the issuer, so another issuer inherits no ID. The first
sign-in of each member at that issuer finds the member by the verified address.
"""

from typing import Any

from bson import ObjectId

from documents.access.staff import Staff
from documents.errors import Conflict
from documents.organization import Organization
from documents.sign_on.draft import propose_rules, propose_secret
from documents.sign_on.ended_sessions import end_proofs
from documents.sign_on.provider_fields import check_rules, check_text
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.storage.transaction import in_transaction
from matchback.engine import Tx

REQUIRED = "Single sign-on is required. Accept passwords first."


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
    # Always, because an earlier change may have ended here.
    end_proofs(organization.id, kept_issuer=changed.issuer, kept_session=session_id)
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


def check_password_remains(organization_id: ObjectId) -> None:
    """Check that an admin can sign in without a provider.

    Raises:
        Conflict: no admin has a password.
    """
    admins = list(Staff.live(organization_id, role="admin"))
    # An invited person may never arrive, and a password may be from another organization.
    if not any(one.has_arrived and one.is_opened_by_password for one in admins):
        raise Conflict("No admin has a password. Let an admin choose one first.")


def remove_provider(organization_id: ObjectId) -> None:
    """Remove the provider with its secret and rules, and end what it has proved.

    Members stay, and so do their IDs at the provider.

    Raises:
        Conflict: the organization requires single sign-on.
    """
    if Organization.objects(id=organization_id, requires_single_sign_on=True).first() is not None:
        raise Conflict(REQUIRED)
    # Before and after, so that an interruption leaves no session of a provider that is gone.
    end_proofs(organization_id)
    in_transaction(_remove, organization_id)
    end_proofs(organization_id)


def _remove(tx: Tx, organization_id: ObjectId) -> None:
    own = {"organization_id": organization_id}
    # A requirement first locks this record. So of the two at once, one sees the other.
    open_ = {**own, "is_locked": {"$ne": True}}
    found = tx.database.sign_on_providers.find_one(open_, {"_id": 1}, session=tx.session)
    if found is None:
        raise Conflict(REQUIRED)
    tx.database.sign_on_providers.delete_one(open_, session=tx.session)
    tx.database.pending_sign_ins.delete_many(own, session=tx.session)


def _is_locked(organization: Organization, provider: SignOnProvider) -> bool:
    return bool(provider.is_locked or organization.requires_single_sign_on)
