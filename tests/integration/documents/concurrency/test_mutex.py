"""Turns: a transaction that meets another's open one learns so at once, and loses nothing."""

import threading
import time
import types
from collections.abc import Iterator
from datetime import timedelta

import mongoengine
import pytest
from bson import ObjectId

from documents.concurrency import mutex
from documents.concurrency.drain import until_done
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine.transaction import Tx


def take(tx: Tx, name: str) -> int:
    mutex.take_turn(tx, name)
    return 1


@pytest.mark.usefixtures("real_database")
def test_the_second_caller_fails_at_once_and_can_retry() -> None:
    name = f"tally:{ObjectId()}"
    in_transaction(take, "the first of all")  # turns conflict only in an existing collection

    def first(tx: Tx) -> int:
        mutex.take_turn(tx, name)
        with pytest.raises(mutex.TurnTaken):
            in_transaction(take, name)
        assert in_transaction(take, "tally:another") == 1
        return 1

    for _ in range(2):  # creates the turn's record
        in_transaction(first)
    assert in_transaction(take, name) == 1
    assert mongoengine.get_db().turns.find_one({"_id": name})["taken"] == 3


@pytest.mark.usefixtures("real_database")
def test_work_completes_although_others_take_turns() -> None:
    answers: Iterator[int | Exception] = iter(
        [3, mutex.TurnTaken("all"), 2, mutex.TurnTaken("another"), 0]
    )

    def work() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert until_done(lambda: mutex.run_in_turn("all", work)) == 5
    assert mongoengine.get_db().asked_turns.find_one() is None


@pytest.mark.usefixtures("real_database")
def test_a_caller_without_a_turn_leaves_the_work_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mutex, "TURN_PATIENCE_SECONDS", 0.05)

    def work() -> int:
        raise mutex.TurnTaken("never")

    assert until_done(lambda: mutex.run_in_turn("never", work)) == 0


@pytest.mark.usefixtures("real_database")
def test_a_busy_holder_yields_to_a_waiting_caller() -> None:
    """Like two workers: one takes turn after turn, until the other has had one."""
    name = f"organization:{ObjectId()}"
    in_transaction(take, name)
    begun, had = threading.Event(), threading.Event()

    def hold(tx: Tx) -> int:
        mutex.take_turn(tx, name)
        begun.set()
        time.sleep(0.02)
        return 0 if had.is_set() else 1

    def batch() -> int:
        return mutex.run_in_turn(name, lambda: in_transaction(hold))

    busy = threading.Thread(target=until_done, args=(batch,))
    # This thread has its own line, like a thread of another process.
    with_line_of_its_own = mutex.run_in_turn.__globals__ | {"_line": mutex._Line()}
    other = types.FunctionType(mutex.run_in_turn.__code__, with_line_of_its_own)
    busy.start()
    assert begun.wait(30)
    assert other(name, lambda: in_transaction(take, name)) == 1
    had.set()
    busy.join(30)
    assert not busy.is_alive()
    assert mongoengine.get_db().asked_turns.find_one() is None


@pytest.mark.usefixtures("real_database")
def test_the_request_of_a_killed_process_expires() -> None:
    asked = mongoengine.get_db().asked_turns
    asked.insert_one({"_id": "x", "by": ObjectId(), "until": now() + timedelta(seconds=0.2)})
    assert mutex.run_in_turn("x", lambda: 7) == 7
    assert asked.find_one()["until"] <= now()


def test_threads_wait_in_line() -> None:
    line = mutex._Line()
    order: list[int] = []
    threads = []

    def wait(number: int) -> None:
        with line.place("x"):
            order.append(number)

    with line.place("x"):
        for number in range(5):
            thread = threading.Thread(target=wait, args=(number,))
            thread.start()
            threads.append(thread)
            while len(line._waiting["x"]) < number + 2:
                time.sleep(0.001)
        with line.place("y"):
            assert order == []
    for thread in threads:
        thread.join(30)
    assert order == [0, 1, 2, 3, 4]
    assert not line._waiting
