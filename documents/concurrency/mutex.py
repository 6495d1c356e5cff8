"""The mutex of an organization: one transaction at a time counts for it.

All these transactions increment the same fundraisers and mailings. Without a mutex, they would make
each other start again. The first write of a transaction takes the turn. Another transaction then
fails at once, and not with a write conflict at the end of its work. The turn is part of the
transaction and ends with it, also when its worker is killed.

A transaction that waits asks for the turn, and the last holder gives way. Otherwise, a worker that
counts a million events would take the turn again and again, and a gift would wait for all of them.
Requests for a turn expire after a second. They affect only speed. Threads of one process wait in
line.
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

WRITE_CONFLICT = 112
PAUSE_SECONDS = 0.01
LONG_PAUSE_SECONDS = 0.1
# As long as the others' transactions may take, and not longer, should one who asked be killed.
ASKED_FOR = timedelta(seconds=1)
PATIENCE_SECONDS = 5.0  # after that it is left to the sweep: a worker that is to end must not wait


class Turn(Document):
    """Of whom one transaction at a time counts."""

    name = StringField(primary_key=True)
    taken = IntField()

    meta = {"collection": "turns", "auto_create_index": False}


class AskedTurn(Document):
    """Who waits for a turn, the first of them."""

    name = StringField(primary_key=True)
    by = ObjectIdField(required=True)
    until = DateTimeField(required=True)

    meta = {"collection": "asked_turns", "auto_create_index": False}


class NotMyTurn(Exception):
    """Another transaction has the turn of this name."""


class _Line:
    """Threads of this process that want a turn, first come, first served."""

    def __init__(self) -> None:
        self._moves = threading.Condition()
        self._waiting: defaultdict[str, deque[object]] = defaultdict(deque)

    @contextmanager
    def place(self, name: str) -> Iterator[None]:
        """Wait in line; within, this thread is the first of it."""
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
    """Who asks: a thread."""

    def __init__(self) -> None:
        self.id = ObjectId()


_line = _Line()
_asker = _Asker()


def of_organization(organization_id: ObjectId) -> str:
    """The name of the turn that what is counted for an organization takes."""
    return f"organization:{organization_id}"


def take(tx: Tx, name: str) -> None:
    """Take the turn, as the first write of a transaction.

    Raises:
        NotMyTurn: another transaction has it; this one is to be aborted.
    """
    try:
        tx.database.turns.update_one(
            {"_id": name}, {"$inc": {"taken": 1}}, upsert=True, session=tx.session
        )
    except DuplicateKeyError:
        raise NotMyTurn(name) from None
    except OperationFailure as error:
        if error.code == WRITE_CONFLICT:
            raise NotMyTurn(name) from None
        raise


def in_turn(name: str, work: Callable[[], int]) -> int:
    """Do work that takes the turn, as soon as it is one's turn.

    Raises:
        NotMyTurn: others had it for too long; or the work takes another turn, which another has.
    """
    asked = False
    with _line.place(name):
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while True:
                _give_way(name, deadline)
                try:
                    return work()
                except NotMyTurn as error:
                    if error.args != (name,) or time.monotonic() > deadline or shutdown.has_begun():
                        raise
                asked = _ask(name) or asked
                time.sleep(random.uniform(0, 2 * PAUSE_SECONDS))  # noqa: S311
        finally:
            if asked:
                get_db().asked_turns.delete_one({"_id": name, "by": _asker.id})


def _ask(name: str) -> bool:
    """Ask for the turn, unless another does. Returns whether this thread is the one that asks."""
    free = {"_id": name, "$or": [{"by": _asker.id}, {"until": {"$lte": now()}}]}
    mine = {"$set": {"by": _asker.id, "until": now() + ASKED_FOR}}
    try:
        get_db().asked_turns.update_one(free, mine, upsert=True)
    except DuplicateKeyError:
        return False
    return True


def _give_way(name: str, deadline: float) -> None:
    """Wait while another asks for the turn; but not for long, for their clock may be fast."""
    deadline = min(deadline, time.monotonic() + 1.5 * ASKED_FOR.total_seconds())
    others = {"_id": name, "by": {"$ne": _asker.id}}
    while time.monotonic() < deadline and not shutdown.has_begun():
        if not get_db().asked_turns.find_one({**others, "until": {"$gt": now()}}, {"_id": 1}):
            return
        time.sleep(PAUSE_SECONDS)
