"""A worker's deletion of an organization: stages, each a repeated walk over all collections.

Requests, jobs and imports that began before the request still store rows for some seconds. So the
first walk begins a minute later. A stage ends only after a walk that finds nothing, a minute after
the last row. Mailings and fundraisers go last, because other rows are found only by
them. The organization's own record holds the progress, so another worker continues it.

Anything that keeps storing rows would delay the end. So settling, routing, imports, notices and
rejected posts ask for deletions.
"""

import re
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.access.departures import end_lone_accounts, find_lone_accounts
from documents.organizations.batches import (
    BatchResult,
    delete_anchors,
    delete_emails,
    delete_journal,
    delete_owned_rows,
    delete_rows,
)
from documents.organizations.deletion_request import close_entrances
from documents.organizations.ownership import (
    ANCHOR_COLLECTIONS,
    RULES,
    list_owned_collections,
)
from documents.storage.transaction import in_transaction
from documents.values.time import now

# Longer than a request or a transaction, and than a window of the rate limits in Redis.
QUIET_TIME = timedelta(seconds=60)
DELETING_FILTER: dict[str, Any] = {"deleting_at": {"$type": "date"}}
STAGES = ("records", "emails", "journal", "rest")
QUIET_STAGES = ("records", "journal")


def list_deletions() -> list[ObjectId]:
    """Return the organizations in deletion, the first request first."""
    found = get_db().organizations.find(DELETING_FILTER, {"_id": 1}).sort("deleting_at", 1)
    return [row["_id"] for row in found]


def delete_next_batch(organization_id: ObjectId) -> bool:
    """Delete the next rows of an organization.

    Return False if the organization is gone, or if the next walk must wait. Only one process may
    run this at a time; two at once repeat each other's work.
    """
    row = get_db().organizations.find_one({"_id": organization_id, **DELETING_FILTER})
    if row is None:
        return False
    state: dict[str, Any] = row.get("deletion") or _begin_first_stage(row["deleting_at"])
    if state["not_before"] > now():
        return False
    if state["step"] is None:
        close_entrances(organization_id)
        state |= {"step": _list_steps(state["stage"])[0], "after": None, "found": 0}
    result = _run_step(state, organization_id)
    state["found"] += result.deleted
    state["deleted"] += result.deleted
    if result.deleted:
        state["found_at"] = now()
    _advance(state, result)
    if state["stage"] is None:
        _delete_organization(organization_id)
        return False
    get_db().organizations.update_one({"_id": organization_id}, {"$set": {"deletion": state}})
    return True


def _begin_first_stage(requested_at: datetime) -> dict[str, Any]:
    begins_at = requested_at + QUIET_TIME
    return {**_begin_stage(STAGES[0]), "not_before": begins_at, "walk_began_at": begins_at}


def _begin_stage(stage: str | None, deleted: int = 0) -> dict[str, Any]:
    at = now()
    return {
        "stage": stage,
        "began_at": at,
        "found_at": at,
        "not_before": at,
        "walk_began_at": at,
        "step": None,
        "after": None,
        "found": 0,
        "deleted": deleted,
    }


def _list_steps(stage: str) -> list[str]:
    """Return the steps of a stage: collections, or other work with a colon in its name."""
    others = [name for name in list_owned_collections() if name not in ANCHOR_COLLECTIONS]
    groups = [f":{name}" for name in ANCHOR_COLLECTIONS]
    return {
        "records": others,
        "emails": groups[:1],
        "journal": [f"journal:{name}" for name in ANCHOR_COLLECTIONS[1:]],
        "rest": [*groups, *others],
    }[stage]


def _run_step(state: dict[str, Any], organization_id: ObjectId) -> BatchResult:
    kind, has_kind, name = state["step"].rpartition(":")
    if kind == "journal":
        return delete_journal(name, organization_id, state["after"])
    if not has_kind:
        return delete_owned_rows(name, organization_id, state["after"])
    if name == "emails":
        return delete_emails(organization_id)
    return delete_anchors(name, organization_id)


def _advance(state: dict[str, Any], result: BatchResult) -> None:
    """Go on to the next batch, step, walk or stage."""
    if not result.is_last:
        state["after"] = result.after
        return
    later = _follow(state["stage"], state["step"])
    state |= {"step": later[0] if later else None, "after": None}
    if later:
        return
    quiet_at: datetime = state["found_at"]
    if state["stage"] in QUIET_STAGES:
        quiet_at += QUIET_TIME
    if state["found"] == 0 and state["walk_began_at"] >= quiet_at:
        stage = STAGES.index(state["stage"]) + 1
        state |= _begin_stage(STAGES[stage] if stage < len(STAGES) else None, state["deleted"])
    else:
        at = max(now(), quiet_at)
        state |= {"not_before": at, "walk_began_at": at}


def _follow(stage: str, step: str) -> list[str]:
    """Return the steps after this one. The next walk visits a collection that is new meanwhile."""
    steps = _list_steps(stage)
    return steps[steps.index(step) + 1 :] if step in steps else []


def _delete_organization(organization_id: ObjectId) -> None:
    """Delete what names the organization in tasks of the whole service, and its own record.

    Also delete accounts of people whom a killed request did not make members.
    """
    in_transaction(end_lone_accounts, find_lone_accounts())
    named = {"_id": {"$regex": f":{re.escape(str(organization_id))}$"}}
    for name, rule in RULES.items():
        if rule == "named":
            get_db()[name].delete_many(named)
    counted = {f"{field}.{organization_id}": "" for field in ("off_of", "last_off_of")}
    get_db().recounts.update_many({}, {"$unset": counted, "$inc": {"steps": 1}})
    delete_rows("organizations", [organization_id])
