"""Taking turns: workers that count for one hot mailing would else make each other begin again.

The first write of a transaction takes the turn. Who meets another's open transaction learns so at
once, and not by a write conflict at the end of its work, on the mailing that both increment. The
turn is part of the transaction: it ends with it, also when its worker is killed, so there is no
lease that could outlive anybody. Nothing rests on it but speed.
"""

import random
import time
from collections.abc import Callable

from mongoengine import Document, IntField, StringField
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, OperationFailure

WRITE_CONFLICT = 112
PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 5.0  # after that it is left to the sweep: a worker that is to end must not wait


class Turn(Document):
    """Of whom one transaction at a time counts."""

    name = StringField(primary_key=True)
    taken = IntField()

    meta = {"collection": "turns", "auto_create_index": False}


class NotMyTurn(Exception):
    """Another transaction has it."""


def take(database: Database, session: ClientSession, name: str) -> None:
    """Take the turn, as the first write of a transaction.

    Raises:
        NotMyTurn: another transaction has it; this one is to be aborted.
    """
    try:
        database.turns.update_one(
            {"_id": name}, {"$inc": {"taken": 1}}, upsert=True, session=session
        )
    except DuplicateKeyError:
        raise NotMyTurn from None
    except OperationFailure as error:
        if error.code == WRITE_CONFLICT:
            raise NotMyTurn from None
        raise


def until_done(work: Callable[[], int]) -> int:
    """Do the work until it finds nothing more, waiting for turns. Returns the sum of its results.

    Should others count all the time, it returns: they do what is to be done.
    """
    done = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            batch = work()
        except NotMyTurn:
            time.sleep(random.uniform(0, 2 * PAUSE_SECONDS))  # noqa: S311
            continue
        if not batch:
            break
        done += batch
        deadline = time.monotonic() + PATIENCE_SECONDS
    return done
