"""Request to delete an organization. It closes all entrances at once; a worker deletes the rest.

Deleting takes time that grows with all stored data. deleting.py does it in small batches.
"""

from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.access.audit import COMMAND_LINE_ACTOR, OpenAct
from documents.access.member import MEMBER_SECRET_KINDS
from documents.imports.file_import import FileImport
from documents.organization import Organization
from documents.organizations.batches import delete_members
from documents.values.time import now

DELETION_ACTION = "org delete"
# Keys, secrets and providers, without which no request reaches the organization. Reset links stay
# for the person's other memberships; see departures.py.
ENTRANCES = (
    *("api_keys", "webhook_keys", "sign_on_providers", "pending_sign_ins"),
    *(kind._get_collection_name() for kind in MEMBER_SECRET_KINDS),
)


def request_deletion(organization: Organization) -> datetime:
    """Mark the organization, and close its entrances. Return the time of the first request.

    A repeated request, or two at once, change nothing else. The service's own audit chain keeps the
    ID of the organization, without its name.
    """
    act = OpenAct.begin(None, COMMAND_LINE_ACTOR, DELETION_ACTION, record=str(organization.id))
    at = now()
    get_db().organizations.update_one(
        {"_id": organization.id, "deleting_at": None}, {"$set": {"deleting_at": at}}
    )
    close_entrances(organization.id)
    act.finish(0)
    marked = get_db().organizations.find_one({"_id": organization.id}, {"deleting_at": 1})
    return (marked or {}).get("deleting_at") or at


def close_entrances(organization_id: ObjectId) -> None:
    """Void keys, sessions, providers and memberships, and stop outgoing events and imports.

    A request that passed its checks before may create a key afterwards. So each walk of the
    deletion repeats this.
    """
    own = {"organization_id": organization_id}
    for name in ENTRANCES:
        get_db()[name].delete_many(own)
    while delete_members(organization_id):
        pass
    # A sign-in that began before can store a proof after the member is gone.
    get_db().staff_sessions.update_many(
        {"grants.proof.organization_id": organization_id},
        {"$pull": {"grants": {"proof.organization_id": organization_id}}},
    )
    gone: dict[str, Any] = {"$set": {"deleted_at": now()}, "$inc": {"version": 1}}
    get_db().webhook_endpoints.update_many({**own, "deleted_at": None}, gone)
    FileImport.stop_all(organization_id)
