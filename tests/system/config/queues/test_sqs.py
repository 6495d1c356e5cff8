"""A queue on SQS, against a server that speaks its protocol."""

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from config.queue import QUEUE_ERRORS, make_queue
from config.queues import address, sqs
from config.queues.sqs import MAX_MESSAGE_BYTES, SqsQueue
from config.settings import get_settings
from jobs.tasks import update_email_donation
from service.local.supervisor import Supervisor
from tools.testbed.queue_places import AWS_ENVIRONMENT, QueuePlace, kill_part
from tools.testbed.queue_places import run_sqs as started
from tools.testbed.stack import wait_until

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[QueuePlace, Supervisor]]:
    supervisor = Supervisor(say=lambda text: None)
    try:
        with started(tmp_path_factory.mktemp("sqs"), supervisor) as place:
            yield place, supervisor
    finally:
        supervisor.stop()


@pytest.fixture
def wakeups_url(server: tuple[QueuePlace, Supervisor], monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sqs, "SQS_WAIT_SECONDS", 1)
    return server[0].url


@pytest.fixture
def both(wakeups_url: str) -> Iterator[tuple[SqsQueue, SqsQueue]]:
    """Open one queue as a web process and as a worker do."""
    name = f"/test{next(_numbers)}"
    at = address.read_sqs_address(wakeups_url.replace("/test", name))
    web, worker = SqsQueue("matchback", at), SqsQueue("matchback", at)
    yield web, worker
    web.close()
    worker.close()


def test_messages_reach_another_process_once(both: tuple[SqsQueue, SqsQueue]) -> None:
    web, worker = both
    sent = {b"message %d" % number for number in range(12)}  # more than one request returns
    for message in sent:
        web.enqueue(message)
    assert web.queue_size() == 12
    assert {worker.dequeue() for _ in sent} == sent
    assert worker.queue_size() == 0
    assert worker.dequeue() is None
    web.enqueue(b"one more")
    web.flush_queue()
    assert worker.dequeue() is None


def test_waiting_threads_take_turns_and_end_in_time(both: tuple[SqsQueue, SqsQueue]) -> None:
    """Of four threads that wait for a message, one polls, and all notice the stop soon."""
    _, worker = both
    begun = time.monotonic()
    threads = [threading.Thread(target=worker.dequeue) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun < 10


def test_an_undeleted_message_returns_and_is_received_again(
    both: tuple[SqsQueue, SqsQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    web, worker = both
    monkeypatch.setattr(sqs, "VISIBILITY_TIMEOUT_SECONDS", 1)
    web.enqueue(b"one")
    real = worker._ask

    def refusing(operation: str, **more: Any) -> Any:
        if operation.startswith("delete"):
            raise ConnectionError("SQS: AccessDenied")
        return real(operation, **more)

    monkeypatch.setattr(worker, "_ask", refusing)
    with pytest.raises(QUEUE_ERRORS):
        worker.dequeue()
    assert worker.dequeue() == b"one"
    monkeypatch.setattr(worker, "_ask", real)
    assert wait_until(worker.dequeue, "the message again") == b"one"


def test_an_oversized_message_is_rejected_before_sending(both: tuple[SqsQueue, SqsQueue]) -> None:
    with pytest.raises(ValueError, match="too large for SQS"):
        both[0].enqueue(b"x" * (MAX_MESSAGE_BYTES + 1))


def test_the_largest_message_is_far_below_the_limit() -> None:
    from jobs.wakeups import IDS_PER_MESSAGE

    task = update_email_donation.s(*("f" * 24 for _ in range(IDS_PER_MESSAGE)))
    assert len(update_email_donation.huey.serialize_task(task)) < MAX_MESSAGE_BYTES / 4


def test_an_unknown_message_is_dropped_and_logged(
    wakeups_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The consumer itself drops it, and then processes the next message."""
    monkeypatch.setenv("MATCHBACK_QUEUE_URL", wakeups_url)
    get_settings.cache_clear()
    huey = make_queue("strange")
    get_settings.cache_clear()
    done: list[str] = []
    task = huey.task()(lambda *ids: done.extend(ids))
    consumer = huey.create_consumer(workers=1, periodic=False)
    for strange in ("garbage", "{}", '{"id": "1", "name": "os.system", "args": ["true"]}'):
        huey.storage.enqueue(strange.encode())
    task("a gift")
    worker = consumer.worker_threads[0][0]
    with caplog.at_level(logging.ERROR, "huey"):
        wait_until(lambda: worker.loop() or done, "the message after them")
    assert done == ["a gift"]
    assert len([one for one in caplog.records if "Error reading" in one.message]) == 3
    assert huey.storage.queue_size() == 0
    huey.storage.close()


def test_an_outage_is_reported_and_a_deleted_queue_is_created_again(
    both: tuple[SqsQueue, SqsQueue], server: tuple[QueuePlace, Supervisor]
) -> None:
    web, worker = both
    web.enqueue(b"lost")
    part = kill_part(server[1], "SQS")
    with pytest.raises(QUEUE_ERRORS, match="SQS: EndpointConnectionError"):
        web.enqueue(b"not sent")
    server[1].start(part)
    with pytest.raises(QUEUE_ERRORS, match=r"SQS: .*(NonExistentQueue|QueueDoesNotExist)"):
        web.enqueue(b"not sent, either")
    web.enqueue(b"sent")
    wait_until(lambda: _quietly(worker) == b"sent", "the message")


def _quietly(worker: SqsQueue) -> bytes | None:
    try:
        return worker.dequeue()
    except QUEUE_ERRORS:
        return None
