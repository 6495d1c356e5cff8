"""Recounting Matchback's own counters from its ledger of donations, emails and events."""

from collections.abc import Iterator
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.counters import LEDGER
from documents.engine import recount as engine
from documents.engine.recount import Drift, Page
from documents.engine.upkeep import compare_page
from documents.transaction import in_transaction

COLLECTIONS = tuple(engine.collections(LEDGER))


def pages(fundraiser_id: ObjectId | None = None) -> Iterator[Page]:
    """All counters, a page at a time; safe while traffic goes on.

    Args:
        fundraiser_id: only what belongs to it: itself, its mailings, emails, gifts and donors.
            Users give to many fundraisers, and are left out.
    """
    for name in COLLECTIONS:
        query: dict[str, Any] = {}
        if fundraiser_id is not None:
            if name == "users":
                continue
            key = "_id" if name == "fundraisers" else "fundraiser_id"
            query = {key: fundraiser_id}
        last_id = None
        while (page := compare(name, query, last_id)).size:
            yield page
            last_id = page.last_id


def compare(name: str, query: dict[str, Any], after: Any = None) -> Page:
    """One page, at a snapshot of its own."""
    return compare_page(get_db(), LEDGER, name, query, after)


def recount() -> Iterator[Drift]:
    """Every counter that is off."""
    for page in pages():
        yield from page.drifts


def repair(drift: Drift) -> None:
    """Put it right. Whoever calls holds the lease of repairers; see lease.py."""
    in_transaction(engine.repair, LEDGER, drift)


def size(fundraiser_id: ObjectId | None = None) -> int:
    """About how many records there are to compare."""
    if fundraiser_id is None:
        return sum(get_db()[name].estimated_document_count() for name in COLLECTIONS)
    return 1 + sum(
        get_db()[name].count_documents({"fundraiser_id": fundraiser_id})
        for name in COLLECTIONS
        if name not in ("users", "fundraisers")
    )
