"""Organizations as an operator sees them: no secrets, and no scan of large collections."""

from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.organization import Organization
from documents.organizations.batches import has_organization_index
from documents.organizations.ownership import list_owned_collections

MAX_COUNTED_ROWS = 10_000  # larger collections show only that they have more
ACTIVITY_COLLECTIONS = ("emails", "donations", "deliveries", "imports", "audit")
SETTING_FIELDS = (
    *("time_zone", "locale", "email_domains"),
    *("hides_personal_data", "requires_single_sign_on"),
)
Row = dict[str, Any]


def list_organizations() -> list[Row]:
    """Return all organizations, the oldest first, with the numbers of staff and fundraisers."""
    staff, fundraisers = _count_by_owner("staff"), _count_by_owner("fundraisers")
    return [
        {
            "id": str(one.id),
            "name": one.name,
            "created_at": _to_text(one.created_at),
            "staff": staff.get(one.id, 0),
            "fundraisers": fundraisers.get(one.id, 0),
            "deleting_at": _to_text(one.deleting_at),
        }
        for one in Organization.objects.order_by("id")
    ]


def describe_organization(organization: Organization) -> Row:
    """Return the settings, members, providers and approximate counts of an organization."""
    id_ = organization.id
    providers = get_db().webhook_keys.distinct("provider", {"organization_id": id_})
    state = organization.to_mongo().to_dict().get("deletion") or {}
    return {
        "id": str(id_),
        "name": organization.name,
        "created_at": _to_text(organization.created_at),
        "deleting_at": _to_text(organization.deleting_at),
        "deleted_rows": state.get("deleted", 0) if organization.deleting_at else None,
        "settings": {name: getattr(organization, name) for name in SETTING_FIELDS},
        "staff": _list_staff(id_),
        "providers": sorted(providers),
        "last_activity_at": _to_text(_find_last_activity(id_)),
        "counts": count_rows(id_),
    }


def count_rows(organization_id: ObjectId) -> dict[str, int | str]:
    """Return the number of rows by collection, exact up to a limit.

    Omit collections without an index of the organization, because counting would scan them.
    """
    own, counts = {"organization_id": organization_id}, {}
    for name in filter(has_organization_index, list_owned_collections()):
        number = get_db()[name].count_documents(own, limit=MAX_COUNTED_ROWS + 1)
        if number:
            is_more = number > MAX_COUNTED_ROWS
            counts[name] = f"more than {MAX_COUNTED_ROWS:,}" if is_more else number
    return counts


def _count_by_owner(name: str) -> dict[ObjectId, int]:
    group = {"$group": {"_id": "$organization_id", "number": {"$sum": 1}}}
    found = get_db()[name].aggregate([{"$match": {"deleted_at": None}}, group])
    return {row["_id"]: row["number"] for row in found}


def _list_staff(organization_id: ObjectId) -> list[Row]:
    own = {"organization_id": organization_id, "deleted_at": None}
    return [
        {
            "email": one["email"],
            "name": one["name"],
            "role": one["role"],
            "last_sign_in_at": _to_text(one.get("last_sign_in_at")),
        }
        for one in get_db().staff.find(own).sort("_id", 1)
    ]


def _find_last_activity(organization_id: ObjectId) -> datetime | None:
    """Return the time of the newest record that people, clients and providers cause."""
    own, times = {"organization_id": organization_id}, []
    for name in ACTIVITY_COLLECTIONS:
        order = [("seq" if name == "audit" else "_id", -1)]
        if newest := get_db()[name].find_one(own, {"_id": 1}, sort=order):
            times.append(newest["_id"].generation_time)
    return max(times, default=None)


def _to_text(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
