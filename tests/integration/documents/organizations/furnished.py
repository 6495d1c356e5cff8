"""Two organizations with rows in every collection, and a search for all traces of one of them."""

from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.access.audit import link_finished_acts
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink, StaffSession
from documents.concurrency.mutex import name_organization_turn
from documents.history.journal import JOURNAL
from documents.migrations.indexes import DOCUMENT_CLASSES
from documents.values.time import now
from matchback.engine import JOURNAL_HOUR, Tx
from tests.integration.service.test_tenancy import furnish
from tools.testbed.cast import University
from tools.testbed.privacy import list_texts
from tools.testbed.settled import settle_all

OWNED_DOCUMENTS = [one for one in DOCUMENT_CLASSES if "organization_id" in one._fields]
Contents = dict[str, list[dict[str, Any]]]


def furnish_fully(place: University, person: str) -> dict[str, str]:
    """Fill every collection by use, or by a bare row where use takes days."""
    ids = furnish(place)
    staff = Staff.add(ObjectId(place.id), person, f"{person}@staff.example.edu", "admin")
    StaffSession.begin(staff)
    SignInLink.make(staff)
    place.call("DELETE", f"/v1/users/{ids['users']}?erase=true")
    settle_all()
    link_finished_acts()
    hour = now().replace(minute=0, second=0, microsecond=0)
    for at in (hour - JOURNAL_HOUR, hour):
        JOURNAL.sum_hour(Tx(get_db()), at)
    get_db().leases.insert_one({"_id": f"import:{place.id}", "holder": "x", "until": now()})
    get_db().turns.update_one(
        {"_id": name_organization_turn(ObjectId(place.id))}, {"$inc": {"taken": 1}}, upsert=True
    )
    off = {f"off_of.{place.id}": 1, f"last_off_of.{place.id}": 2}
    get_db().recounts.update_one({"_id": "steady"}, {"$set": off}, upsert=True)
    fill_empty_collections(ObjectId(place.id))
    return ids


def fill_empty_collections(organization_id: ObjectId) -> None:
    """Insert a row into each collection in which the organization has none."""
    for document in OWNED_DOCUMENTS:
        name = document._get_collection_name()
        if get_db()[name].find_one({"organization_id": organization_id}):
            continue
        unique = {
            field: ObjectId()
            for spec in document._meta["index_specs"]
            if spec.get("unique")
            for field, _ in spec["fields"]
        }
        row = {**unique, "_id": ObjectId(), "organization_id": organization_id}
        get_db()[name].insert_one({**row, "organization_id": organization_id})


def read_contents(*, without: str = "") -> Contents:
    """Return all rows of the database, by collection.

    Args:
        without: the ID of an organization whose rows this omits.
    """
    left_out = ObjectId(without) if without else None
    return {
        name: [
            row
            for row in get_db()[name].find().sort("_id", 1)
            if left_out is None or row.get("organization_id") != left_out
        ]
        for name in sorted(get_db().list_collection_names())
        if not name.startswith("system.")
    }


def find_traces(*words: str) -> list[tuple[str, Any, str]]:
    """Return each text of the database that contains one of these words or IDs."""
    return [
        (name, row["_id"], text[:200])
        for name, rows in read_contents().items()
        for row in rows
        for text in list_texts(row)
        if any(word.casefold() in text.casefold() for word in words)
    ]
