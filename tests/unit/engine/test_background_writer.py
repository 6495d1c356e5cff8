"""Writes beside the computing thread: one at a time, in order, with every failure raised."""

import gc
import os
import threading
import weakref
from contextvars import ContextVar

import pytest

from matchback.engine.background_writer import BackgroundWriter

PATIENCE_SECONDS = 30

_where: ContextVar[str] = ContextVar("where", default="")


def fail() -> None:
    raise ValueError("refused")


def test_the_caller_continues_and_the_next_write_waits() -> None:
    may_end, done = threading.Event(), list[str]()

    def first() -> None:
        assert may_end.wait(PATIENCE_SECONDS)
        done.append("first")

    with BackgroundWriter() as beside:
        beside.send(first)
        assert done == []
        may_end.set()
        beside.send(done.append, "second")
        beside.wait()
        assert done == ["first", "second"]
        beside.send(done.append, "third")
    assert done == ["first", "second", "third"]


def test_data_read_by_a_failed_transaction_is_freed_at_once() -> None:
    """Waiting for the garbage collector would take long, because it rarely runs in the services."""

    class Read:
        pass

    def settle() -> weakref.ref[Read]:
        read = Read()
        with BackgroundWriter() as beside:
            try:
                beside.send(fail)
                beside.wait()
            except ValueError:
                return weakref.ref(read)
        raise AssertionError

    gc.disable()
    try:
        assert settle()() is None
    finally:
        gc.enable()


def test_no_transaction_waits_for_the_writes_of_others() -> None:
    many = 2 * ((os.cpu_count() or 1) + 4)
    together = threading.Barrier(many)
    transactions = [BackgroundWriter() for _ in range(many)]
    for beside in transactions:
        beside.send(together.wait, PATIENCE_SECONDS)
    for beside in transactions:
        beside.wait()


def test_the_next_caller_gets_a_failure_once() -> None:
    with BackgroundWriter() as beside:
        beside.send(fail)
        with pytest.raises(ValueError, match="refused"):
            beside.send(pytest.fail, "nothing comes after a failure")
        beside.wait()


def test_the_last_failure_is_raised_at_the_end() -> None:
    with pytest.raises(ValueError, match="refused"), BackgroundWriter() as beside:
        beside.send(fail)


def test_a_second_failure_does_not_hide_the_first_and_is_awaited() -> None:
    may_end, ended = threading.Event(), threading.Event()

    def write() -> None:
        may_end.wait(PATIENCE_SECONDS)
        ended.set()
        fail()

    def work() -> None:
        with BackgroundWriter() as beside:
            beside.send(write)
            threading.Timer(0.05, may_end.set).start()
            raise KeyError("the first")

    with pytest.raises(KeyError, match="the first"):
        work()
    assert ended.is_set()


def test_a_write_belongs_to_the_trace_of_its_caller() -> None:
    told = list[str]()
    _where.set("a request")
    with BackgroundWriter() as beside:
        beside.send(lambda: told.append(_where.get()))
    assert told == ["a request"]
