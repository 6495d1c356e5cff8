"""The sweep: slow work does not block other work, and no error ends the sweep."""

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from bson import ObjectId
from pymongo.errors import AutoReconnect

from config.settings import get_settings
from jobs import sweep as module
from jobs.sweep import DueGroup, SettleFunction, Sweeper

LONG, SHORT = ("tally", ObjectId()), ("settle", ObjectId())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    often = get_settings().model_copy(update={"sweep_seconds": 0.01})
    monkeypatch.setattr(module, "get_settings", lambda: often)


@pytest.mark.usefixtures("quick")
def test_a_slow_group_starts_once_and_blocks_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go, enough = threading.Event(), threading.Event()
    begun: list[DueGroup] = []

    def long() -> int:
        begun.append(LONG)
        let_go.wait(30)
        return 1

    def short() -> int:
        begun.append(SHORT)
        if begun.count(SHORT) == 3:
            enough.set()
        return 1

    def due_groups(older_than: timedelta) -> Iterator[tuple[DueGroup, SettleFunction]]:
        yield LONG, long
        yield SHORT, short

    monkeypatch.setattr(module, "iterate_due_groups", due_groups)
    sweeper = Sweeper()
    sweeper.start()
    assert enough.wait(30)
    assert begun.count(LONG) == 1
    let_go.set()
    sweeper.stop(10)
    assert not sweeper.is_alive()


@pytest.mark.usefixtures("quick")
def test_failed_work_is_retried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()
    troubles = iter([AutoReconnect("away"), ValueError("odd"), None])

    def fails() -> int:
        if (trouble := next(troubles, None)) is not None:
            raise trouble
        done.set()
        return 0

    def due_groups(older_than: timedelta) -> Iterator[tuple[DueGroup, SettleFunction]]:
        fails()
        yield SHORT, lambda: 0

    monkeypatch.setattr(module, "iterate_due_groups", due_groups)
    sweeper = Sweeper()
    sweeper.start()
    assert done.wait(30)
    sweeper.stop(10)
    assert "the database is unavailable" in caplog.text
    assert "odd" in caplog.text


@pytest.mark.usefixtures("quick")
def test_a_database_outage_of_any_length_logs_two_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    done = threading.Event()
    troubles = iter(range(20))

    def due_groups(older_than: timedelta) -> Iterator[tuple[DueGroup, SettleFunction]]:
        if next(troubles, None) is not None:
            raise AutoReconnect("away")
        yield SHORT, lambda: 0
        done.set()

    monkeypatch.setattr(module, "iterate_due_groups", due_groups)
    sweeper = Sweeper()
    sweeper.start()
    assert done.wait(30)
    sweeper.stop(10)
    said = [record.message for record in caplog.records if record.name == "jobs.sweep"]
    assert said == [
        "sweep: the database is unavailable or slow (AutoReconnect)",
        "sweep: the database answers again",
    ]
