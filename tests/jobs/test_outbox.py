"""The outbox: nobody waits for Redis."""

import threading
import time

import pytest
from redis.exceptions import ConnectionError as RedisAway

from jobs import outbox as module
from jobs.outbox import Outbox
from tests.stack import wait_until


def test_wakeups_are_sent_in_order_and_many_together() -> None:
    sent: list[tuple[str, ...]] = []
    outbox = Outbox()

    def task(*ids: str) -> None:
        sent.append(ids)

    for number in range(2000):
        outbox.put(task, str(number))
    assert outbox.flush(10)
    assert [id_ for ids in sent for id_ in ids] == [str(number) for number in range(2000)]
    assert max(map(len, sent)) <= module.IDS_A_MESSAGE
    assert len(sent) < 200


def test_each_task_has_a_message_of_its_own_and_each_id_once() -> None:
    sent: list[tuple[str, ...]] = []
    outbox = Outbox()
    outbox._last = time.monotonic() + 0.2  # so that all of it is there when the first is sent

    def one(*ids: str) -> None:
        sent.append(("one", *ids))

    def other(*ids: str) -> None:
        sent.append(("other", *ids))

    for task, id_ in ((one, "a"), (other, "a"), (one, "b"), (one, "a")):
        outbox.put(task, id_)
    assert outbox.flush(10)
    assert sent == [("one", "a", "b"), ("other", "a")]


def test_a_hung_queue_keeps_nobody_waiting_and_memory_bounded() -> None:
    hung = threading.Event()
    outbox = Outbox(capacity=10)
    begun = time.perf_counter()
    for number in range(1000):
        outbox.put(lambda *_: hung.wait(30), str(number))
    assert time.perf_counter() - begun < 5, "putting waited for the queue"
    assert outbox._waiting.qsize() <= 10
    hung.set()


def test_a_queue_that_is_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    outbox, sent = Outbox(), []
    away = True

    def task(id_: str) -> None:
        if away:
            raise RedisAway("no route")
        sent.append(id_)

    outbox.put(task, "lost")
    assert outbox.flush(10)
    away = False
    outbox.put(task, "sent")
    wait_until(lambda: sent == ["sent"], "the next wake-up")
