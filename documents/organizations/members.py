"""Deletion of an organization's members, and of the people who belong to no other organization."""

from bson import ObjectId

from documents.access.departures import end_memberships
from documents.storage.transaction import in_transaction
from matchback.engine import Tx

MEMBERS_PER_BATCH = 100


def delete_members(organization_id: ObjectId) -> int:
    """Delete some members, with what ends with their memberships. Return their number."""
    return in_transaction(_delete_members, organization_id)


def _delete_members(tx: Tx, organization_id: ObjectId) -> int:
    own = tx.database.staff.find({"organization_id": organization_id}, session=tx.session)
    members = list(own.limit(MEMBERS_PER_BATCH))
    if members:
        ids = [one["_id"] for one in members]
        tx.database.staff.delete_many({"_id": {"$in": ids}}, session=tx.session)
        end_memberships(tx, members)
    return len(members)
