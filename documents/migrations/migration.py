"""A migration, and how far it has come: it may be interrupted anywhere, and goes on from there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mongoengine import DateTimeField, DynamicField, IntField, StringField, get_db
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.clock import now
from documents.engine.contribution import Row
from documents.errors import Conflict
from documents.lease import Lease, held
from documents.stored import Document
from documents.transaction import in_transaction

ROWS_A_PAGE = 200
LEASE = timedelta(seconds=150)  # longer than PyMongo repeats a transaction

Change = Callable[[Database, ClientSession, list[Row]], None]


@dataclass(frozen=True)
class Migration:
    """One numbered step: rows of a collection, a page at a time, in the order of their ids.

    The change is given rows of any form and leaves alone what has today's, so doing it twice
    changes nothing. Each page is one transaction, together with the note of how far it has come.

    Attributes:
        number: its place in the order. Never given to another one.
        name: what is done, in words for whoever waits for it.
        where: which rows can need it.
    """

    number: int
    name: str
    collection: str
    change: Change
    where: dict[str, Any] = field(default_factory=dict)


class Progress(Document):
    """How far a migration has come in this database."""

    number = IntField(primary_key=True)
    last_id = DynamicField()
    rows = IntField(default=0)
    started_at = DateTimeField()
    finished_at = DateTimeField()
    name = StringField()

    meta = {"collection": "migrations", "auto_create_index": False}


@dataclass(frozen=True)
class Told:
    """What is told while it runs."""

    migration: Migration
    rows: int
    of: int  # about
    is_finished: bool


def pending(all_: tuple[Migration, ...]) -> list[Migration]:
    """Those that are not finished in this database."""
    found = get_db().migrations.find({"finished_at": {"$ne": None}}, {"_id": 1})
    finished = {row["_id"] for row in found}
    return [one for one in all_ if one.number not in finished]


def note_new(all_: tuple[Migration, ...]) -> None:
    """A database that has no organization yet has nothing of an earlier version."""
    if get_db().organizations.find_one({}, {"_id": 1}) is None:
        for one in all_:
            finished = {"name": one.name, "finished_at": now()}
            get_db().migrations.update_one({"_id": one.number}, {"$set": finished}, upsert=True)


def migrate(all_: tuple[Migration, ...]) -> Iterator[Told]:
    """Do what is pending, telling after each page.

    Raises:
        Conflict: another process is at it.
    """
    with held("migrate", LEASE) as mine:
        if not mine:
            raise Conflict("Another process is migrating this database.")
        for migration in pending(all_):
            yield from _run(migration)


def _run(migration: Migration) -> Iterator[Told]:
    of = get_db()[migration.collection].estimated_document_count()
    rows, is_finished = 0, False
    while not is_finished:
        if not Lease.take("migrate", LEASE):
            raise Conflict("Another process went on with this migration.")
        rows, is_finished = in_transaction(_page, migration)
        yield Told(migration, rows, max(of, rows), is_finished)


def _page(database: Database, session: ClientSession, migration: Migration) -> tuple[int, bool]:
    """Change the next page. Returns how many rows that makes, and whether it was the last one."""
    known = database.migrations.find_one({"_id": migration.number}, session=session) or {}
    after = {"_id": {"$gt": known["last_id"]}} if "last_id" in known else {}
    found = database[migration.collection].find({**migration.where, **after}, session=session)
    rows = list(found.sort("_id", 1).limit(ROWS_A_PAGE))
    if rows:
        migration.change(database, session, rows)
    is_finished = len(rows) < ROWS_A_PAGE
    noted: Row = {"name": migration.name, **({"last_id": rows[-1]["_id"]} if rows else {})}
    if "started_at" not in known:
        noted["started_at"] = now()
    if is_finished:
        noted["finished_at"] = now()
    database.migrations.update_one(
        {"_id": migration.number},
        {"$set": noted, "$inc": {"rows": len(rows)}},
        upsert=True,
        session=session,
    )
    return known.get("rows", 0) + len(rows), is_finished
