"""Lookup of gifts by client IDs, also after an erasure replaced the IDs."""

from typing import Any

from bson import ObjectId

from documents.erased.stand_ins import may_name_person, stand_in, stand_ins
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.storage.marks import text
from matchback.engine import Tx


def with_external_id(
    tx: Tx, organization_id: ObjectId, external_id: str | None
) -> DonationRow | None:
    """Return the gift that had this external_id until its donor was erased."""
    known = stand_ins(organization_id, external_id) if external_id else []
    if not known:
        return None
    query = {"organization_id": organization_id, "external_id": text(in_=known)}
    found: DonationRow | None = collection(tx.database, DonationRow).find_one(
        query, session=tx.session
    )
    return found


def plan_of(
    tx: Tx, organization_id: ObjectId, recurring_id: str | None, **fundraiser: Any
) -> str | None:
    """Return the ID of a plan as its instalments have it: a stand-in, if one of them is erased."""
    if recurring_id is None or not may_name_person(recurring_id):
        return recurring_id
    renamed = stand_in(organization_id, recurring_id)
    query = {**fundraiser, "recurring_id": text(eq=renamed)}
    found = collection(tx.database, DonationRow).find_one(query, {"_id": 1}, session=tx.session)
    return renamed if found else recurring_id
