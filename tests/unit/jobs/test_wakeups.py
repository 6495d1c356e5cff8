"""The outbox: no caller waits for Redis."""

import threading
import time

import pytest
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisAway

from jobs import wakeups as module
from jobs.wakeups import WakeUpBuffer
from tools.testbed.stack import wait_until


def test_wakeups_are_sent_in_order_and_in_batches() -> None:
    sent: list[tuple[str, ...]] = []
    buffer = WakeUpBuffer()

    def task(*ids: str) -> None:
        sent.append(ids)

    for number in range(2000):
        buffer.put(task, str(number))
    assert buffer.flush(10)
    assert [id_ for ids in sent for id_ in ids] == [str(number) for number in range(2000)]
    assert max(map(len, sent)) <= module.IDS_PER_MESSAGE
    assert len(sent) < 200


def test_each_task_has_its_own_message_with_each_id_once() -> None:
    sent: list[tuple[str, ...]] = []
    buffer = WakeUpBuffer()
    buffer._last = time.monotonic() + 0.2  # delays the first send

    def one(*ids: str) -> None:
        sent.append(("one", *ids))

    def other(*ids: str) -> None:
        sent.append(("other", *ids))

    for task, id_ in ((one, "a"), (other, "a"), (one, "b"), (one, "a")):
        buffer.put(task, id_)
    assert buffer.flush(10)
    assert sent == [("one", "a", "b"), ("other", "a")]


def test_with_a_hung_queue_callers_do_not_wait_and_memory_is_bounded() -> None:
    hung = threading.Event()
    buffer = WakeUpBuffer(capacity=10)
    begun = time.perf_counter()
    for number in range(1000):
        buffer.put(lambda *_: hung.wait(30), str(number))
    assert time.perf_counter() - begun < 5, "putting waited for the queue"
    assert buffer._waiting.qsize() <= 10
    hung.set()


def test_an_unavailable_queue_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENQUEUE_RETRY_SECONDS", 0.01)
    buffer, sent = WakeUpBuffer(), []
    away = True

    def task(id_: str) -> None:
        if away:
            raise RedisAway("no route")
        sent.append(id_)

    buffer.put(task, "lost")
    assert buffer.flush(10)
    away = False
    buffer.put(task, "sent")
    wait_until(lambda: sent == ["sent"], "the next wake-up")


def test_lost_wakeups_are_counted_by_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENQUEUE_RETRY_SECONDS", 0.01)
    reasons = ("queue_away", "outbox_full", "error")
    before = [lost(reason) for reason in reasons]
    buffer = WakeUpBuffer(capacity=3)
    ready = threading.Event()

    def away(*ids: str) -> None:
        ready.wait(30)
        raise RedisAway("no route")

    def broken(*ids: str) -> None:
        raise ValueError

    buffer.put(away, "taken")
    wait_until(lambda: not buffer._waiting.qsize(), "it is being sent")
    for number in range(5):  # three wait, and two find no space
        buffer.put(away, str(number))
    ready.set()
    assert buffer.flush(10)
    buffer.put(broken, "1")
    assert buffer.flush(10)
    wait_until(lambda: lost("error") > before[2], "it was counted")
    after = [lost(reason) for reason in reasons]
    assert [now - then for now, then in zip(after, before, strict=True)] == [4, 2, 1]


def lost(reason: str) -> float:
    found = REGISTRY.get_sample_value("matchback_enqueue_failures_total", {"reason": reason})
    return found or 0
