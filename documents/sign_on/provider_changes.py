"""Changes of an organization's provider: another client, and its removal.

A member's ID at a provider begins with the issuer, so another issuer inherits no ID. The first
sign-in of each member at that issuer finds the member by the verified address.
"""

from bson import ObjectId

from documents.access.account import Account
from documents.access.staff import Staff
from documents.errors import Conflict
from documents.organization import Organization
from documents.sign_on.ended_sessions import end_proofs
from documents.sign_on.requirement import check_client_may_change, stop_requiring_single_sign_on
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.storage.transaction import in_transaction
from matchback.engine import Tx

REQUIRED = "Single sign-on is required. Accept passwords first."
LAST_WAY = "No admin has a password. Let an admin choose one first."


def set_client(
    organization: Organization,
    issuer: str,
    client_id: str,
    client_secret: str | None,
    *,
    kept_session: str | None = None,
) -> SignOnProvider:
    """Set the provider and its client. Another issuer ends what the former one has proved.

    Args:
        client_secret: None keeps the present one; see `SignOnProvider.put`.
        kept_session: ID of the session that makes the change. It stays, so that the admin can
            correct an incorrect issuer.

    Raises:
        Unacceptable: a value is not valid.
        UnsealableSecret: there is no master key.
        Conflict: the organization requires single sign-on, and another client is given.
    """
    known = SignOnProvider.of(organization.id)
    check_client_may_change(organization, known, issuer, client_id)
    changed = SignOnProvider.put(organization.id, issuer, client_id, client_secret)
    if known is None or (known.issuer, known.client_id) == (issuer, client_id):
        return changed
    # Another admin can require single sign-on after the check. Then no one has tried this client.
    if Organization.objects(id=organization.id, requires_single_sign_on=True).first():
        stop_requiring_single_sign_on(organization)
    if known.issuer != issuer:
        end_proofs(organization.id, kept_session)
    return changed


def check_password_remains(organization_id: ObjectId) -> None:
    """Check that an admin can sign in without a provider.

    Raises:
        Conflict: no admin has a password.
    """
    admins = list(Staff.live(organization_id, role="admin"))
    accounts = Account.objects(id__in=[one.account_id for one in admins], password__ne=None)
    if accounts.first() is None and not any(one.password for one in admins):
        raise Conflict(LAST_WAY)


def remove_provider(organization_id: ObjectId) -> None:
    """Remove the provider with its secret and rules, and end what it has proved.

    Members stay, and so do their IDs at the provider.

    Raises:
        Conflict: the organization requires single sign-on.
    """
    in_transaction(_remove, organization_id)
    end_proofs(organization_id)


def _remove(tx: Tx, organization_id: ObjectId) -> None:
    # A requirement writes this record, too. So of the two at once, one sees the other.
    changed = tx.database.organizations.update_one(
        {"_id": organization_id, "requires_single_sign_on": {"$ne": True}},
        {"$inc": {"sign_on_changes": 1}},
        session=tx.session,
    )
    if not changed.matched_count:
        raise Conflict(REQUIRED)
    for name in ("sign_on_providers", "pending_sign_ins"):
        tx.database[name].delete_many({"organization_id": organization_id}, session=tx.session)
