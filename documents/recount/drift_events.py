"""Events about incorrect counters: one for each organization and step of the background recount."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.outgoing.facts import note_fact
from matchback.engine import Drift, Tx

MAX_REPORTED_DRIFTS = 100  # per event
# Records of these collections have the ID of the record that they describe.
DESCRIBED_COLLECTIONS = {"user_index": "users", "email_index": "emails", "matches": "donations"}
PARENT_LINKS = {"fundraiser_id": "fundraisers", "mailing_id": "mailings"}
DriftsByOwner = dict[ObjectId, list[Drift]]


def group_by_owner(drifts: Iterable[Drift]) -> DriftsByOwner:
    """Return the incorrect counters of each organization.

    Leave out those of records whose organization no longer exists.
    """
    by_collection: dict[str, list[Drift]] = {}
    for drift in drifts:
        name = DESCRIBED_COLLECTIONS.get(drift.collection, drift.collection)
        by_collection.setdefault(name, []).append(drift)
    owned: DriftsByOwner = {}
    for name, found in by_collection.items():
        owners = _find_owners(name, {one.id for one in found})
        for drift in found:
            if (owner := owners.get(drift.id)) is not None:
                owned.setdefault(owner, []).append(drift)
    return owned


def leave_out_deletions(drifts: Sequence[Drift]) -> list[Drift]:
    """Return the incorrect counters without those of organizations in deletion."""
    by_owner = group_by_owner(drifts) if drifts else {}
    query = {"_id": {"$in": list(by_owner)}, "deleting_at": {"$ne": None}}
    deleting = get_db().organizations.distinct("_id", query) if by_owner else []
    left_out = [one for owner in deleting for one in by_owner[owner]]
    return [one for one in drifts if one not in left_out]


def _find_owners(collection: str, ids: Iterable[Any]) -> dict[Any, ObjectId]:
    fields = dict.fromkeys(("organization_id", *PARENT_LINKS), 1)
    rows = list(get_db()[collection].find({"_id": {"$in": list(ids)}}, fields))
    owners = {row["_id"]: row["organization_id"] for row in rows if row.get("organization_id")}
    for link, parent in PARENT_LINKS.items():
        children = {
            row["_id"]: row[link] for row in rows if row["_id"] not in owners and row.get(link)
        }
        if children:
            found = _find_owners(parent, set(children.values()))
            owners |= {id_: found[of] for id_, of in children.items() if of in found}
    return owners


def note_drifts(tx: Tx, by_owner: Mapping[ObjectId, list[Drift]], step: int) -> None:
    """Store the events of one step in the transaction that stores the step."""
    for organization_id, drifts in by_owner.items():
        note_fact(
            tx,
            "recount.drift_found",
            {
                "count": len(drifts),
                "differences": [_describe(one) for one in drifts[:MAX_REPORTED_DRIFTS]],
            },
            organization_id=organization_id,
            record_id=organization_id,
            version=step,
        )


def _describe(drift: Drift) -> dict[str, Any]:
    return {
        "collection": drift.collection,
        "id": _hide_person(drift),
        "field": drift.field,
        "stored": _to_reported(drift.actual),
        "counted": _to_reported(drift.expected),
    }


def _hide_person(drift: Drift) -> str:
    """Return the record's ID. A donor's ID ends with a form of the person's address."""
    id_ = str(drift.id)
    return id_.rpartition(":")[0] if drift.collection == "donors" else id_


def _to_reported(value: Any) -> Any:
    """Return numbers, times and flags. Other values can hold anything, so they become None."""
    return value if isinstance(value, int | float | datetime) else None
