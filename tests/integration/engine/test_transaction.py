"""`Tx`: the parts of one transaction attempt, and the callbacks after the commit."""

import gc
import re
import weakref
from contextlib import nullcontext
from functools import partial
from typing import Any

import mongoengine
import pytest
from mongoengine import get_db
from pymongo.errors import DuplicateKeyError, OperationFailure

from matchback import engine
from matchback.engine import Tx
from tools.testbed.readme import ROOT

CONFLICT = OperationFailure("a conflict", 112, {"errorLabels": ["TransientTransactionError"]})
PAGE = ROOT / "docs" / "explanation" / "engine.md"


def stored() -> list[int]:
    return sorted(row["_id"] for row in get_db().things.find())


@pytest.mark.parametrize("error", [CONFLICT, DuplicateKeyError("twice", 11000)])
def test_attempts_are_numbered_and_only_the_last_runs_callbacks(
    real_database: str, error: Exception
) -> None:
    seen: list[Any] = []

    def work(tx: Tx) -> str:
        tx.database.things.insert_one({"_id": tx.attempt}, session=tx.session)
        tx.on_commit(lambda: seen.append((tx.attempt, stored())))
        if tx.attempt < 2:
            raise error
        assert seen == []
        return "done"

    assert engine.in_transaction(get_db(), work) == "done"
    assert seen == [(2, [2])]


def test_a_callback_that_fails_does_not_repeat_the_transaction(real_database: str) -> None:
    def follow() -> None:
        raise DuplicateKeyError("twice", 11000)

    def work(tx: Tx) -> None:
        tx.database.things.insert_one({"_id": tx.attempt}, session=tx.session)
        tx.on_commit(follow)

    with pytest.raises(DuplicateKeyError):
        engine.in_transaction(get_db(), work)
    assert stored() == [0]


def test_an_aborted_transaction_stores_nothing_and_runs_no_callbacks(real_database: str) -> None:
    seen: list[str] = []

    def work(tx: Tx) -> bool:
        tx.database.things.insert_one({"_id": 0}, session=tx.session)
        tx.on_commit(lambda: seen.append("never"))
        tx.abort()
        return False

    assert engine.in_transaction(get_db(), work) is False
    assert (seen, stored()) == ([], [])


def test_a_nested_transaction_keeps_its_callbacks_separate(real_database: str) -> None:
    seen: list[str] = []

    def inner(tx: Tx) -> None:
        tx.on_commit(lambda: seen.append("inner"))

    def outer(tx: Tx) -> None:
        tx.on_commit(lambda: seen.append("outer"))
        engine.in_transaction(get_db(), inner)
        assert seen == ["inner"]

    engine.in_transaction(get_db(), outer)
    assert seen == ["inner", "outer"]


def test_without_a_transaction_writes_and_callbacks_run_at_once(
    real_database: str,
) -> None:
    tx, seen = Tx(get_db()), []
    tx.database.things.insert_one({"_id": tx.attempt}, session=tx.session)
    tx.on_commit(lambda: seen.append(stored()))
    assert seen == [[0]]


class Reader(mongoengine.Document):
    loans = mongoengine.IntField(default=0)


class Loan(engine.Source, mongoengine.Document):
    reader_id = mongoengine.ObjectIdField()


def test_the_documented_sweep_settles(
    real_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [shown] = re.findall(r"```python\n(def settle_some.*?)```", PAGE.read_text(), re.S)
    counter = engine.CounterCache[Any](field="loans", of=Loan, on=Reader, via="reader_id")
    known: dict[str, Any] = {"engine": engine, "LEDGER": engine.Ledger([counter])}
    exec(shown, known)
    reader = Reader().save()
    Loan(reader_id=reader.id).save()
    engine.in_transaction(get_db(), known["settle_some"], "loan")
    assert Reader.objects.get(id=reader.id).loans == 1
    assert capsys.readouterr().out == "settled 1 of loan\n"


@pytest.mark.parametrize("error", [None, ValueError("a bug")])
def test_data_held_by_callbacks_is_freed_at_once(
    real_database: str, error: Exception | None
) -> None:
    class Read:
        tx: Tx

    held: list[weakref.ref[Read]] = []

    def work(tx: Tx) -> None:
        read = Read()
        read.tx = tx
        held.append(weakref.ref(read))
        tx.on_commit(partial(setattr, read, "tx", tx))
        if error:
            raise error

    gc.disable()
    try:
        with pytest.raises(ValueError, match="a bug") if error else nullcontext():
            engine.in_transaction(get_db(), work)
        if error:
            error.__traceback__ = None
        assert [one() for one in held] == [None]
    finally:
        gc.enable()
