"""Recount of Matchback's counters from its donations, emails and events."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.counters import LEDGER
from documents.recount.drift_events import leave_out_deletions
from documents.storage.transaction import in_transaction
from matchback import engine
from matchback.engine import Drift, Page, compare_all, compare_page, shorten_link

COUNTED_COLLECTIONS = tuple(engine.collections(LEDGER))


def compare_all_counters(fundraiser_id: ObjectId | None = None) -> Iterator[Page]:
    """Compare all counters, one page at a time, while traffic continues.

    Args:
        fundraiser_id: limit to one fundraiser with its mailings, emails, gifts and donors. Users
            are excluded, because they give to many fundraisers.
    """
    pages = compare_all(get_db(), LEDGER, _queries(fundraiser_id))
    return map(_without_deletions, pages)


def _queries(fundraiser_id: ObjectId | None) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in COUNTED_COLLECTIONS:
        if fundraiser_id is None:
            yield name, {}
        elif name != "users":
            yield name, _build_scope(name, fundraiser_id)


def _build_scope(name: str, fundraiser_id: ObjectId) -> dict[str, Any]:
    """Return the condition for a fundraiser's records in a collection."""
    if name == "fundraisers":
        return {"_id": fundraiser_id}
    if name == "participants":  # their index begins with the arm
        arms = get_db().arms.find({"fundraiser_id": fundraiser_id}, {"_id": 1})
        return {"links": {"$in": [shorten_link(arm["_id"]) for arm in arms]}}
    return {"fundraiser_id": fundraiser_id}


def compare_counters(
    name: str, query: dict[str, Any], after: Any = None, limit: int | None = None
) -> Page:
    """Compare one page of counters at its own snapshot."""
    return _without_deletions(compare_page(get_db(), LEDGER, name, query, after=after, limit=limit))


def _without_deletions(page: Page) -> Page:
    """Leave out organizations in deletion, which lose counted records before their counters."""
    return replace(page, drifts=leave_out_deletions(page.drifts))


def find_drifts() -> Iterator[Drift]:
    """Yield every incorrect counter."""
    for page in compare_all_counters():
        yield from page.drifts


def repair_counter(drift: Drift) -> bool:
    """Correct a counter. Return whether it was still incorrect. Safe to run in parallel."""
    return in_transaction(engine.repair, LEDGER, drift)


def estimate_record_count(fundraiser_id: ObjectId | None = None) -> int:
    """Return the approximate number of records to compare."""
    if fundraiser_id is None:
        sizes: list[int] = [
            get_db()[name].estimated_document_count() for name in COUNTED_COLLECTIONS
        ]
        return sum(sizes)
    sizes = [
        get_db()[name].count_documents(_build_scope(name, fundraiser_id))
        for name in COUNTED_COLLECTIONS
        if name not in ("users", "fundraisers")
    ]
    return 1 + sum(sizes)
