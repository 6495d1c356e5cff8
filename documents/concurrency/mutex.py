"""The mutex of an organization: one transaction at a time counts for it.

All these transactions increment the same fundraisers and mailings. Without a mutex, they would
abort each other with write conflicts at the end of their work. The first write of a transaction
takes the turn, so another transaction fails at once. The turn is part of the transaction. It ends
with the transaction, even if its worker is killed.

A waiting worker requests the turn, and the last holder yields. Otherwise, a worker that counts a
million events would take the turn repeatedly, and a gift would wait for all of them. Requests
expire after a second, and they affect only speed. Threads of one process wait in line.
"""

import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ObjectIdField, StringField, get_db
from pymongo.errors import DuplicateKeyError, OperationFailure

from documents.storage import shutdown
from documents.storage.base import Document
from documents.values.time import now
from matchback.engine import Tx

WRITE_CONFLICT_CODE = 112
TURN_PAUSE_SECONDS = 0.01
LONG_TURN_PAUSE_SECONDS = 0.1
# As long as the current transaction may take. A killed worker delays others no longer than this.
TURN_REQUEST_LIFETIME = timedelta(seconds=1)
TURN_PATIENCE_SECONDS = 5.0  # then the sweep takes over, so that a worker can shut down


class Turn(Document):
    """The row that each counting transaction writes first, so that only one can run."""

    name = StringField(primary_key=True)
    taken = IntField()

    meta = {"collection": "turns", "auto_create_index": False}


class AskedTurn(Document):
    """A request for a turn, by the first thread that waits for it."""

    name = StringField(primary_key=True)
    by = ObjectIdField(required=True)
    until = DateTimeField(required=True)

    meta = {"collection": "asked_turns", "auto_create_index": False}


class TurnTaken(Exception):
    """Another transaction has the turn of this name."""


class _Line:
    """Threads of this process that wait for a turn, first come, first served."""

    def __init__(self) -> None:
        self._moves = threading.Condition()
        self._waiting: defaultdict[str, deque[object]] = defaultdict(deque)

    @contextmanager
    def place(self, name: str) -> Iterator[None]:
        """Wait in line, and stay first in line within the block."""
        me = object()
        with self._moves:
            self._waiting[name].append(me)
            self._moves.wait_for(lambda: self._waiting[name][0] is me)
        try:
            yield
        finally:
            with self._moves:
                self._waiting[name].popleft()
                if not self._waiting[name]:
                    del self._waiting[name]
                self._moves.notify_all()


class _Asker(threading.local):
    """The identity of a thread that requests a turn."""

    def __init__(self) -> None:
        self.id = ObjectId()


_line = _Line()
_asker = _Asker()


def name_organization_turn(organization_id: ObjectId) -> str:
    """Return the name of the turn of an organization."""
    return f"organization:{organization_id}"


def take_turn(tx: Tx, name: str) -> None:
    """Take the turn, as the first write of a transaction.

    Raises:
        TurnTaken: another transaction has the turn. The caller must abort this transaction.
    """
    try:
        tx.database.turns.update_one(
            {"_id": name}, {"$inc": {"taken": 1}}, upsert=True, session=tx.session
        )
    except DuplicateKeyError:
        raise TurnTaken(name) from None
    except OperationFailure as error:
        if error.code == WRITE_CONFLICT_CODE:
            raise TurnTaken(name) from None
        raise


def run_in_turn(name: str, work: Callable[[], int]) -> int:
    """Run work that takes the turn, as soon as the turn is free.

    Raises:
        TurnTaken: others kept the turn for too long, or the work needs another turn that is taken.
    """
    asked = False
    with _line.place(name):
        deadline = time.monotonic() + TURN_PATIENCE_SECONDS
        try:
            while True:
                _give_way(name, deadline)
                try:
                    return work()
                except TurnTaken as error:
                    if error.args != (name,) or time.monotonic() > deadline or shutdown.has_begun():
                        raise
                asked = _ask(name) or asked
                time.sleep(random.uniform(0, 2 * TURN_PAUSE_SECONDS))  # noqa: S311
        finally:
            if asked:
                get_db().asked_turns.delete_one({"_id": name, "by": _asker.id})


def _ask(name: str) -> bool:
    """Request the turn, unless another thread does. Return whether this request is stored."""
    free = {"_id": name, "$or": [{"by": _asker.id}, {"until": {"$lte": now()}}]}
    mine = {"$set": {"by": _asker.id, "until": now() + TURN_REQUEST_LIFETIME}}
    try:
        get_db().asked_turns.update_one(free, mine, upsert=True)
    except DuplicateKeyError:
        return False
    return True


def _give_way(name: str, deadline: float) -> None:
    """Wait while another thread requests the turn, but briefly, because its clock may be fast."""
    deadline = min(deadline, time.monotonic() + 1.5 * TURN_REQUEST_LIFETIME.total_seconds())
    others = {"_id": name, "by": {"$ne": _asker.id}}
    while time.monotonic() < deadline and not shutdown.has_begun():
        if not get_db().asked_turns.find_one({**others, "until": {"$gt": now()}}, {"_id": 1}):
            return
        time.sleep(TURN_PAUSE_SECONDS)
