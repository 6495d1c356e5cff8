"""Faults that need real processes: a crash in a transaction, SIGTERM under load, parallel keys."""

import os
import signal
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.recount import recount
from jobs.sweep import sweep_due_records
from tests.integration.documents.concurrency.test_slow_database import copies, poison
from tests.system.test_story import settled
from tools.chaos.run import run_chaos
from tools.seams.child import run_scenario
from tools.seams.forks import get_fork_context
from tools.seams.scenarios import prepare_new_gift, prepare_scene
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.stack import Stack, wait_until

FREE_SECONDS = 10
ROUNDS = 2


def test_a_crash_inside_a_transaction_frees_the_hot_document(
    real_database: str, real_client: testing.TestClient
) -> None:
    """Kill the worker after it writes the fundraiser's counters, and before the commit."""
    place = create_university("Alice's University", Api.in_process(real_client))
    place.set_webhook_key()
    given = prepare_scene(place)
    prepare_new_gift(place, given)
    context = get_fork_context()
    here, there = context.Pipe()
    # Late enough for the write, and early enough to precede the commit: see test_seams.py.
    where = (17, "after")
    name = "update_email_donation, new gift"
    process = context.Process(target=run_scenario, args=(there, real_database, name, given, where))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    begun = time.monotonic()
    while sweep_due_records():
        pass
    assert time.monotonic() - begun < FREE_SECONDS
    assert place.report(given["spring"])["donations"]["raised"] == {"USD": 2500}
    here.close()
    there.close()


@pytest.fixture
def alice(stack: Stack) -> University:
    return create_university("Alice's University", stack.api())


def test_fifty_parallel_posts_with_one_key_make_one_donation(
    alice: University, stack: Stack
) -> None:
    """Two web processes receive them. All responses are the same, or ask the client to wait."""
    spring = alice.fundraiser()
    body = {"fundraiser_id": spring, "amount": 2500, "currency": "USD", "donor": BOB}
    headers = {"Idempotency-Key": "gift-1"}

    def post(_: int) -> tuple[int, bytes]:
        answer = alice.call("POST", "/v1/donations", body, headers=headers)
        return answer.status, answer.content

    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(post, range(50)))
    assert {status for status, _ in answers} <= {201, 409}
    assert len({content for status, content in answers if status == 201}) == 1
    again = alice.call("POST", "/v1/donations", body, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert settled(alice, spring)["donations"]["count"] == 1


def test_stopping_under_load_gives_no_false_responses(alice: University, stack: Stack) -> None:
    """SIGTERM to web and worker at work leaves no half-done job and no incorrect response."""
    spring = alice.fundraiser()
    stop = threading.Event()
    given: list[int] = []
    odd: list[int] = []

    def load(client: int) -> None:
        number = 0
        with httpx.Client(timeout=30) as http:
            while not stop.is_set():
                number += 1
                headers = {"Authorization": f"Bearer {alice.key}"}
                body = {
                    "fundraiser_id": spring,
                    "amount": 100,
                    "currency": "USD",
                    "donor": BOB,
                    "external_id": f"{client}-{number}",
                }
                try:
                    url = f"{stack.url}/v1/donations"
                    status = http.post(url, json=body, headers=headers).status_code
                except httpx.HTTPError:
                    number -= 1  # no response: send the same request again
                    time.sleep(0.05)
                    continue
                if status in (200, 201):
                    given.append(100)
                elif status != 503:
                    odd.append(status)

    loads = [threading.Thread(target=load, args=(client,)) for client in range(4)]
    for thread in loads:
        thread.start()

    def are_more_than(count: int) -> bool:
        return len(given) > count

    for _ in range(ROUNDS):
        for name, start in (("web", stack.start_web), ("worker", stack.start_worker)):
            wait_until(partial(are_more_than, len(given) + 20), "some more gifts")
            part = next(part for part in stack.supervisor.parts if part.name == name)
            assert part.process
            part.process.send_signal(signal.SIGTERM)
            assert part.process.wait(60) == 0
            stack.supervisor.parts.remove(part)
            start()
    stop.set()
    for thread in loads:
        thread.join()
    assert odd == []
    figures = settled(alice, spring)["donations"]
    assert figures["raised"] == {"USD": sum(given)}
    assert list(recount.find_drifts()) == []


def test_a_busy_worker_stops_on_a_signal(alice: University, stack: Stack) -> None:
    """After SIGTERM during a backlog, the worker completes only its current transaction."""
    spring = alice.fundraiser()
    stack.kill("worker", signal.SIGTERM)
    rows = [alice.gift(spring) for _ in range(5)]
    like = get_db().donations.find_one({"_id": ObjectId(rows[0])})
    like.pop("external_id", None)
    many = 5000
    get_db().donations.insert_many({**like, "_id": ObjectId()} for _ in range(many - len(rows)))
    due = {"due": {"$type": "date"}}

    def left() -> int:
        return int(get_db().donations.count_documents(due))

    stack.start_worker()
    wait_until(lambda: left() < many, "the worker settles", 60)
    part = next(part for part in stack.supervisor.parts if part.name == "worker")
    assert part.process
    part.process.send_signal(signal.SIGTERM)
    assert part.process.wait(60) == 0
    stack.supervisor.parts.remove(part)
    assert left() > 0
    stack.start_worker()
    assert settled(alice, spring)["donations"]["count"] == many


def test_thousands_of_bad_records_do_not_delay_others_or_the_stop(
    alice: University, stack: Stack
) -> None:
    """Alice's gifts and posts cannot be counted, while Charlie's gifts arrive."""
    alice.set_webhook_key()
    charlie = create_university("Charlie's University", stack.api())
    fundraisers, autumn = [alice.fundraiser(f"Fund {n}") for n in range(6)], charlie.fundraiser()
    bad = alice.email(fundraisers[0])
    first = [alice.gift(fundraiser, 100) for fundraiser in fundraisers]
    for fundraiser in fundraisers:
        settled(alice, fundraiser)
    poison([ObjectId(bad)])
    for gift in first:
        copies("donations", gift, 500, email_ref=bad)
    alice.deliver([make_event(bad, "open", 1_700_000_000 + number) for number in range(500)])
    took: list[float] = []

    def has_counted(number: int) -> bool:
        return bool(charlie.report(autumn)["donations"]["count"] == number)

    for number in range(1, 9):
        begun = time.monotonic()
        charlie.gift(autumn, 100)
        wait_until(partial(has_counted, number), "the worker to count")
        took.append(time.monotonic() - begun)
    assert get_db().donations.count_documents({"due": {"$type": "date"}}) > 0
    assert statistics.median(took) < 2, took
    part = next(part for part in stack.supervisor.parts if part.name == "worker")
    assert part.process
    part.process.send_signal(signal.SIGTERM)
    assert part.process.wait(15) == 0
    stack.supervisor.parts.remove(part)


def test_a_crash_leaves_no_process_behind(stack: Stack) -> None:
    """gunicorn's workers end when their master is killed."""
    import psutil

    master = psutil.Process(stack.pid("web"))
    workers = master.children()
    assert workers
    os.kill(master.pid, signal.SIGKILL)
    psutil.wait_procs(workers, timeout=20)
    assert not [worker for worker in workers if worker.is_running()]


def test_a_short_chaos_run_finds_no_difference(memory_path: Path) -> None:
    """`make chaos` runs this for any length of time."""
    result = run_chaos(memory_path, seconds=12, seed=1)
    assert result.acknowledged > 50
    assert sum(result.deeds.values()) > 5
    assert result.differences == [], "\n".join(result.lines())
