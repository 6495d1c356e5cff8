"""A queue in a file that two processes share and that is copied, deleted, locked or corrupted."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.queue import QUEUE_ERRORS
from config.queues.sqlite import SQLITE_BUSY_SECONDS, SQLITE_WAIT_SECONDS, SqliteQueue


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue.sqlite"


@pytest.fixture
def both(file: Path) -> Iterator[tuple[SqliteQueue, SqliteQueue]]:
    """Open one queue as two processes do."""
    web, worker = SqliteQueue("matchback", str(file)), SqliteQueue("matchback", str(file))
    yield web, worker
    web.close()
    worker.close()


def test_a_message_reaches_another_process_quickly_and_once(
    both: tuple[SqliteQueue, SqliteQueue], file: Path
) -> None:
    web, worker = both
    assert not file.exists(), "an import opened the queue"
    web.enqueue(b"one")
    web.enqueue(b"two")
    assert [worker.dequeue(), worker.dequeue()] == [b"one", b"two"]
    begun = time.monotonic()
    assert worker.dequeue() is None
    assert time.monotonic() - begun > SQLITE_WAIT_SECONDS / 2, "it polls without a pause"


def test_two_queues_in_one_file_are_separate(file: Path) -> None:
    settle, export = SqliteQueue("matchback", str(file)), SqliteQueue("export", str(file))
    settle.enqueue(b"settle")
    assert export.dequeue() is None
    assert settle.queue_size() == 1
    settle.close()
    export.close()


def test_a_deleted_file_is_created_again_for_both(
    both: tuple[SqliteQueue, SqliteQueue], file: Path
) -> None:
    """Otherwise each process would continue with its own deleted file."""
    web, worker = both
    web.enqueue(b"lost")
    worker.queue_size()
    for one in file.parent.iterdir():
        one.unlink()
    web.enqueue(b"seen")
    assert worker.dequeue() == b"seen"


def test_a_locked_file_is_unavailable_until_it_is_released(
    both: tuple[SqliteQueue, SqliteQueue], file: Path
) -> None:
    web, _ = both
    web.enqueue(b"one")
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("begin exclusive")
    begun = time.monotonic()
    with pytest.raises(QUEUE_ERRORS):
        web.enqueue(b"two")
    assert time.monotonic() - begun < SQLITE_BUSY_SECONDS + 2
    holder.close()
    web.enqueue(b"three")
    assert web.queue_size() == 2


def test_a_file_that_is_not_a_database_counts_as_unavailable(
    both: tuple[SqliteQueue, SqliteQueue], file: Path
) -> None:
    file.write_bytes(b"letters to Bob " * 1000)
    with pytest.raises(QUEUE_ERRORS):
        both[0].enqueue(b"one")
    assert file.read_bytes().startswith(b"letters"), "it overwrote another program's file"
