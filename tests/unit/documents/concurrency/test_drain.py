"""The drain loop, without a database: what a batch takes, halving, and when a run ends."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from documents.concurrency import drain as module
from documents.concurrency.drain import Drain
from documents.storage import shutdown
from matchback.engine import Tx

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Inbox:
    """Due records in memory. Some cannot be settled."""

    def __init__(self, number: int, most: int = 8, seconds: float | None = 60) -> None:
        self.due = {ObjectId(): NOON + timedelta(seconds=second) for second in range(number)}
        self.bad: set[ObjectId] = set()
        self.noted: list[ObjectId] = []
        self.sizes: list[int] = []
        self.queries: list[Any] = []
        group = ("test", ObjectId())
        self.drain = Drain(group, most, seconds, note=self._note, postpone=self._note)

    def _note(self, source: str, id_: ObjectId, error: Exception) -> None:
        self.noted.append(id_)
        del self.due[id_]

    def run(self) -> int:
        return self.drain.run(self.settle)

    def settle(self, tx: Tx) -> int:
        self.queries.append(self.drain.waiting("gifts")["due"])
        taken = list(self.due)[: self.drain.left]
        self.drain.take("gifts", taken, self.due[taken[0]] if taken else None)
        self.sizes.append(len(taken))
        if self.bad & set(taken):
            raise ValueError("a bad record")
        tx.on_commit(lambda: self._commit(taken))
        return len(taken)

    def _commit(self, taken: list[ObjectId]) -> None:
        for id_ in taken:
            del self.due[id_]


@pytest.fixture(autouse=True)
def without_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_transaction(work: Callable[[Tx], int]) -> int:
        return work(Tx(None))  # type: ignore[arg-type]

    monkeypatch.setattr(module, "in_transaction", in_transaction)


def test_a_run_takes_batch_after_batch_until_nothing_is_due() -> None:
    inbox = Inbox(20)
    assert inbox.run() == 20
    assert inbox.sizes == [8, 8, 4, 0]
    assert not inbox.due


def test_one_bad_record_is_noted_and_the_others_are_settled() -> None:
    inbox = Inbox(100)
    bad = list(inbox.due)[37]
    inbox.bad = {bad}
    assert inbox.run() == 99
    assert inbox.noted == [bad]
    assert inbox.sizes[:6] == [8, 8, 8, 8, 8, 4]
    assert 1 in inbox.sizes
    assert len(inbox.sizes) < 30


def test_a_run_that_isolates_bad_records_skips_older_ones() -> None:
    inbox = Inbox(20)
    inbox.bad = {list(inbox.due)[9]}
    inbox.run()
    begun = NOON + timedelta(seconds=8)  # the batch that failed
    assert [query.get("$gte") for query in inbox.queries[:3]] == [None, None, begun]
    assert inbox.queries[-1].get("$gte") is None  # nothing is left to look for


def test_a_job_leaves_bad_records_to_the_sweep() -> None:
    inbox = Inbox(20, seconds=None)
    inbox.bad = {next(iter(inbox.due))}
    assert inbox.run() == 0
    assert (inbox.noted, inbox.sizes) == ([], [8])
    assert inbox.run() == 0  # not even a first transaction, for a while
    assert inbox.sizes == [8]


def test_a_stopping_process_finishes_its_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inbox = Inbox(20)
    stopping = threading.Event()
    monkeypatch.setattr(shutdown, "_stopping", stopping)
    settle = inbox.settle

    def work(tx: Tx) -> int:
        stopping.set()
        return settle(tx)

    assert inbox.drain.run(work) == 8
    assert len(inbox.due) == 12
    assert inbox.run() == 0


def test_a_transaction_that_starts_again_takes_its_records_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inbox = Inbox(20)

    def twice(work: Callable[[Tx], int]) -> int:
        work(Tx(None, object()))  # type: ignore[arg-type]  # drops what it would do on commit
        return work(Tx(None))  # type: ignore[arg-type]

    monkeypatch.setattr(module, "in_transaction", twice)
    assert inbox.run() == 20
    assert inbox.sizes == [8, 8, 8, 8, 4, 4, 0, 0]


def test_a_record_can_take_several_places() -> None:
    inbox = Inbox(1, most=8)
    post = ObjectId()
    inbox.drain.take("posts", [post] * 5, NOON)
    assert (inbox.drain.limit, inbox.drain.left) == (8, 3)
    inbox.drain.take("posts", [post] * 3, NOON)
    assert inbox.drain.read(Tx(None), "posts", {}) == []  # type: ignore[arg-type]
