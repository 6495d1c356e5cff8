"""Lookup of gifts by client IDs, even after an erasure replaced these IDs."""

from typing import Any

from bson import ObjectId

from documents.erased.stand_ins import list_pseudonyms, may_name_person, pseudonymize_id
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.storage.marks import build_text_condition
from matchback.engine import Tx


def find_erased_gift(
    tx: Tx, organization_id: ObjectId, external_id: str | None
) -> DonationRow | None:
    """Return the gift that had this external_id before its donor was erased; None if none did."""
    known = list_pseudonyms(organization_id, external_id) if external_id else []
    if not known:
        return None
    query = {"organization_id": organization_id, "external_id": build_text_condition(in_=known)}
    found: DonationRow | None = collection(tx.database, DonationRow).find_one(
        query, session=tx.session
    )
    return found


def find_plan_id(
    tx: Tx, organization_id: ObjectId, recurring_id: str | None, **fundraiser: Any
) -> str | None:
    """Return the ID of a plan as its instalments store it: a stand-in after an erasure."""
    if recurring_id is None or not may_name_person(recurring_id):
        return recurring_id
    renamed = pseudonymize_id(organization_id, recurring_id)
    query = {**fundraiser, "recurring_id": build_text_condition(eq=renamed)}
    found = collection(tx.database, DonationRow).find_one(query, {"_id": 1}, session=tx.session)
    return renamed if found else recurring_id
