"""Two organizations with rows in every collection, and a search for all traces of one of them."""

from typing import Any

from bson import ObjectId
from mongoengine import DictField, ListField, MapField, StringField, get_db

from documents.access.audit import link_finished_acts
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink, StaffSession
from documents.concurrency.mutex import name_organization_turn
from documents.history.journal import JOURNAL
from documents.migrations.document_classes import DOCUMENT_CLASSES
from documents.migrations.migration import run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.storage.base import Document
from documents.values.time import now
from jobs.periodic import recount, relabel
from matchback.engine import JOURNAL_HOUR, Tx
from tests.integration.service.test_tenancy import furnish
from tools.testbed.cast import University
from tools.testbed.privacy import list_texts
from tools.testbed.settled import settle_all

OWNED_DOCUMENTS = [one for one in DOCUMENT_CLASSES if "organization_id" in one._fields]
ALL_COLLECTIONS = {one._get_collection_name() for one in DOCUMENT_CLASSES}
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
    get_db().asked_turns.insert_one({"_id": name_organization_turn(ObjectId(place.id))})
    off = {f"off_of.{place.id}": 1, f"last_off_of.{place.id}": 2}
    get_db().recounts.update_one({"_id": "steady"}, {"$set": off}, upsert=True)
    fill_empty_collections(ObjectId(place.id))
    walk_all_records()
    return ids


def walk_all_records() -> None:
    """Walk over all records to the end, as workers and migrations do."""
    while recount.step():
        pass
    while relabel.step():
        pass
    get_db().migrations.delete_many({})
    list(run_migrations(MIGRATIONS))


def fill_empty_collections(organization_id: ObjectId) -> None:
    """Insert a bare row into each collection in which the organization has none."""
    for document in OWNED_DOCUMENTS:
        if not document._get_collection().find_one({"organization_id": organization_id}):
            _insert(document, organization_id, {})


def plant_row(document: type[Document], organization_id: ObjectId, word: str) -> None:
    """Insert a row whose texts all contain the word, in place of a bare row."""
    row: dict[str, Any] = {}
    of = document._get_collection_name()
    for name, field in document._fields.items():
        stored = "_id" if field.primary_key else field.db_field
        if (value := _plant_value(field, f"{word} {of} {name}")) is not None:
            row[stored] = value
    if any(one["fields"] == [("organization_id", 1)] for one in _list_unique(document)):
        document._get_collection().delete_many({"organization_id": organization_id})
    _insert(document, organization_id, row)


def _insert(document: type[Document], organization_id: ObjectId, row: dict[str, Any]) -> None:
    own = {"_id": ObjectId(), **row, "organization_id": organization_id}
    for spec in _list_unique(document):  # so that two rows differ in each unique index
        for stored, _ in spec["fields"]:
            own.setdefault(stored, ObjectId())
    document._get_collection().insert_one(own)


def _list_unique(document: type[Document]) -> list[dict[str, Any]]:
    return [one for one in document._meta["index_specs"] if one.get("unique")]


def _plant_value(field: Any, text: str) -> Any:
    if isinstance(field, StringField):
        return field.choices[0] if field.choices else text
    if isinstance(field, (MapField, DictField)):
        return {"planted": text} if type(field) is DictField else None
    if isinstance(field, ListField) and isinstance(field.field, StringField):
        return [text]
    return None


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
