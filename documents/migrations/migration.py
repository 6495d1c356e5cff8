"""A migration and its progress. A worker can stop anywhere and continue later."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mongoengine import DateTimeField, DynamicField, IntField, StringField, get_db
from pymongo.errors import PyMongoError

from config.transient_errors import DENIED, is_passing
from documents.concurrency.batches import Batches
from documents.concurrency.lease import Holding, held
from documents.errors import Conflict
from documents.storage.base import Document
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx

ROWS_A_PAGE = 200
LEASE = "migrate"
POLL_SECONDS = 0.2
RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 150.0  # PyMongo repeats a transaction for up to 120 s.

Say = Callable[[str], None]
Change = Callable[[Tx, list[Any]], None]  # of the rows of one collection


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


def migrate(all_: tuple[Migration, ...], say: Say = lambda text: None) -> Iterator[Told]:
    """Run the pending migrations and report after each page.

    While another process migrates, wait for it, and take over if it dies. While MongoDB is
    unavailable or slow, wait as well.

    Raises:
        Conflict: another process holds the lease and makes no progress.
    """
    others = _Others(say)
    while waiting := pending(all_):
        with held(LEASE) as holding:
            if holding is not None:
                for migration in waiting:
                    yield from _run(migration, holding, say)
                continue
        others.wait()


class _Others:
    """The wait for another process that migrates."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._progress: list[dict[str, Any]] | None = None
        self._deadline = 0.0

    def wait(self) -> None:
        """Wait a moment.

        Raises:
            Conflict: the other process has made no progress for PATIENCE_SECONDS.
        """
        progress = list(get_db().migrations.find().sort("_id", 1))
        if self._progress is None:
            self._say("Another process is migrating this database. Waiting for it.")
        if progress != self._progress:
            self._progress, self._deadline = progress, time.monotonic() + PATIENCE_SECONDS
        if time.monotonic() > self._deadline:
            raise Conflict(
                "Another process is migrating this database and makes no progress. "
                "Stop that process and try again."
            )
        time.sleep(POLL_SECONDS)


def _run(migration: Migration, holding: Holding, say: Say) -> Iterator[Told]:
    of = get_db()[migration.collection].estimated_document_count()
    rows, is_finished, is_waiting = 0, False, False
    batches = Batches(("migration", migration.number), ROWS_A_PAGE)

    def page() -> int:
        nonlocal rows, is_finished
        rows, is_finished = in_transaction(_page, migration, batches.limit)
        return rows

    while not (is_finished or holding.is_lost()):
        try:
            batches.take(page)
        except PyMongoError as error:
            if not is_passing(error) or getattr(error, "code", None) in DENIED:
                raise
            if not is_waiting:
                say("MongoDB is unavailable or slow. Waiting for it.")
            is_waiting = True
            _await_database()
            continue
        is_waiting = False
        yield Told(migration, rows, max(of, rows), is_finished)


def _await_database() -> None:
    """Wait until MongoDB answers. The lease may be lost by then."""
    while True:
        time.sleep(RETRY_SECONDS)
        try:
            get_db().command("ping")
        except PyMongoError as error:
            if not is_passing(error):
                raise
        else:
            return


def _page(tx: Tx, migration: Migration, limit: int) -> tuple[int, bool]:
    """Change the next page. Returns the number of rows so far, and whether it was the last page.

    Two processes that change the same page write the same progress, so that MongoDB makes one of
    them begin again. That one then finds the next page.
    """
    known = tx.database.migrations.find_one({"_id": migration.number}, session=tx.session) or {}
    if known.get("finished_at"):
        return known.get("rows", 0), True
    after = {"_id": {"$gt": known["last_id"]}} if "last_id" in known else {}
    found = tx.database[migration.collection].find({**migration.where, **after}, session=tx.session)
    rows = list(found.sort("_id", 1).limit(limit))
    if rows:
        migration.change(tx, rows)
    is_finished = len(rows) < limit
    noted: dict[str, Any] = {
        "name": migration.name,
        **({"last_id": rows[-1]["_id"]} if rows else {}),
    }
    if "started_at" not in known:
        noted["started_at"] = now()
    if is_finished:
        noted["finished_at"] = now()
    tx.database.migrations.update_one(
        {"_id": migration.number},
        {"$set": noted, "$inc": {"rows": len(rows)}},
        upsert=True,
        session=tx.session,
    )
    return known.get("rows", 0) + len(rows), is_finished
