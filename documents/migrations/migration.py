"""A migration and its progress. A migration can stop at any point and continue later."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mongoengine import DateTimeField, DynamicField, IntField, StringField, get_db
from pymongo.errors import PyMongoError

from config.transient_errors import DENIED_CODES, is_transient
from documents.concurrency.batches import Batches
from documents.concurrency.lease import HeldLease, hold_lease
from documents.errors import Conflict
from documents.storage.base import Document
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx

MIGRATED_ROWS_PER_PAGE = 200
MIGRATION_LEASE = "migrate"
MIGRATION_POLL_SECONDS = 0.2
DATABASE_RETRY_SECONDS = 1.0
MIGRATION_PATIENCE_SECONDS = 150.0  # PyMongo repeats a transaction for up to 120 s.

Reporter = Callable[[str], None]
RowChange = Callable[[Tx, list[Any]], None]  # changes rows of one collection


@dataclass(frozen=True)
class Migration:
    """One numbered step, which changes the rows of a collection page by page in order of ID.

    One transaction changes a page and stores the progress.

    Attributes:
        number: the position in the order. Never reuse a number.
        name: a short description, which `matchback migrate` prints.
        change: changes rows to the current form. It must skip rows that already have that form, so
            that a second run has no effect.
        where: the query for rows that can need the change.
    """

    number: int
    name: str
    collection: str
    change: RowChange
    where: dict[str, Any] = field(default_factory=dict)


class Progress(Document):
    """The progress of one migration in this database.

    last_id: ID of the last changed row; missing after the end.
    """

    number = IntField(primary_key=True)
    last_id = DynamicField()
    rows = IntField(default=0)
    started_at = DateTimeField()
    finished_at = DateTimeField()
    name = StringField()

    meta = {"collection": "migrations", "auto_create_index": False}


@dataclass(frozen=True)
class MigrationStatus:
    """The progress report of a running migration.

    Attributes:
        rows: the number of rows done.
        of: the estimated number of all rows.
    """

    migration: Migration
    rows: int
    of: int
    is_finished: bool


def list_pending(all_: tuple[Migration, ...]) -> list[Migration]:
    """List the migrations that are not finished in this database."""
    found = get_db().migrations.find({"finished_at": {"$ne": None}}, {"_id": 1})
    finished = {row["_id"] for row in found}
    return [one for one in all_ if one.number not in finished]


def mark_all_finished(all_: tuple[Migration, ...]) -> None:
    """Mark all migrations as finished if the database is new.

    A database without organizations has no data from an earlier version.
    """
    if get_db().organizations.find_one({}, {"_id": 1}) is None:
        for one in all_:
            finished = {"name": one.name, "finished_at": now()}
            get_db().migrations.update_one({"_id": one.number}, {"$set": finished}, upsert=True)


def run_migrations(
    all_: tuple[Migration, ...], say: Reporter = lambda text: None
) -> Iterator[MigrationStatus]:
    """Run the pending migrations and report after each page.

    Wait while another process migrates, and take over if that process dies. Also wait while MongoDB
    is unavailable or slow.

    Raises:
        Conflict: another process holds the lease and makes no progress.
    """
    others = _Others(say)
    while waiting := list_pending(all_):
        with hold_lease(MIGRATION_LEASE) as holding:
            if holding is not None:
                for migration in waiting:
                    yield from _run(migration, holding, say)
                continue
        others.wait()


class _Others:
    """A monitor of another process that migrates the same database."""

    def __init__(self, say: Reporter) -> None:
        self._say = say
        self._progress: list[dict[str, Any]] | None = None
        self._deadline = 0.0

    def wait(self) -> None:
        """Wait for MIGRATION_POLL_SECONDS.

        Raises:
            Conflict: the other process has made no progress for MIGRATION_PATIENCE_SECONDS.
        """
        progress = list(get_db().migrations.find().sort("_id", 1))
        if self._progress is None:
            self._say("Another process is migrating this database. Waiting for it.")
        if progress != self._progress:
            self._progress, self._deadline = progress, time.monotonic() + MIGRATION_PATIENCE_SECONDS
        if time.monotonic() > self._deadline:
            raise Conflict(
                "Another process is migrating this database and makes no progress. "
                "Stop that process and try again."
            )
        time.sleep(MIGRATION_POLL_SECONDS)


def _run(migration: Migration, holding: HeldLease, say: Reporter) -> Iterator[MigrationStatus]:
    of = get_db()[migration.collection].estimated_document_count()
    rows, is_finished, is_waiting = 0, False, False
    batches = Batches(("migration", migration.number), MIGRATED_ROWS_PER_PAGE)

    def page() -> int:
        nonlocal rows, is_finished
        rows, is_finished = in_transaction(_page, migration, batches.limit)
        return rows

    while not (is_finished or holding.is_lost()):
        try:
            batches.take(page)
        except PyMongoError as error:
            if not is_transient(error) or getattr(error, "code", None) in DENIED_CODES:
                raise
            if not is_waiting:
                say("MongoDB is unavailable or slow. Waiting for it.")
            is_waiting = True
            _await_database()
            continue
        is_waiting = False
        yield MigrationStatus(migration, rows, max(of, rows), is_finished)


def _await_database() -> None:
    """Wait until MongoDB responds. The process can lose the lease meanwhile."""
    while True:
        time.sleep(DATABASE_RETRY_SECONDS)
        try:
            get_db().command("ping")
        except PyMongoError as error:
            if not is_transient(error):
                raise
        else:
            return


def _page(tx: Tx, migration: Migration, limit: int) -> tuple[int, bool]:
    """Change the next page. Return the number of rows so far and whether this page was the last.

    If two processes change the same page, they write the same progress record. So one transaction
    fails with a write conflict, starts again, and finds the next page.
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
    noted: dict[str, Any] = {"name": migration.name}
    update: dict[str, Any] = {"$set": noted, "$inc": {"rows": len(rows)}}
    if "started_at" not in known:
        noted["started_at"] = now()
    if is_finished:  # the ID would outlast its record
        noted["finished_at"] = now()
        update["$unset"] = {"last_id": ""}
    else:
        noted["last_id"] = rows[-1]["_id"]
    tx.database.migrations.update_one(
        {"_id": migration.number},
        update,
        upsert=True,
        session=tx.session,
    )
    return known.get("rows", 0) + len(rows), is_finished
