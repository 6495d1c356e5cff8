"""Uploaded files and killed workers: each line is stored and counted once."""

import io
import signal
from functools import partial

import pytest
from bson import ObjectId
from mongoengine import get_db

from documents.imports.file_import import FileImport
from documents.recount import recount
from tools.testbed.cast import University, create_university
from tools.testbed.stack import Stack, wait_until

LINES = 12_000
WAIT_SECONDS = 120  # the lease of a killed worker blocks others for 20 s


@pytest.fixture
def alice(shared_stack: Stack) -> University:
    return create_university("Alice's University", shared_stack.api())


def begin_upload(alice: University, records: str, content: str, **choices: str) -> ObjectId:
    new = FileImport.upload(
        ObjectId(alice.id), io.BytesIO(content.encode()), records=records, filename="f.csv"
    )
    new.begin_check()
    new.choose(choices, ())
    id_: ObjectId = new.id
    return id_


def is_at(id_: ObjectId, state: str, position: int = 0) -> bool:
    one = FileImport.objects.get(id=id_)
    assert one.state != "failed", one.problem
    return one.state == state and (one.position > position or state != "running")


def await_state(id_: ObjectId, state: str, position: int = 0) -> None:
    wait_until(partial(is_at, id_, state, position), state, WAIT_SECONDS)


def end_leases() -> None:
    """End the leases of the killed worker, which expire by themselves in the test with emails."""
    get_db().leases.delete_many({})


@pytest.mark.parametrize(
    ("records", "kills"),
    [("emails", (1000,)), ("donations", (1000, 7000))],
    ids=["emails", "gifts"],
)
def test_a_run_survives_killed_workers(
    alice: University, shared_stack: Stack, records: str, kills: tuple[int, ...]
) -> None:
    """Of equal gifts, each is a gift of its own, also if they are on both sides of a kill."""
    stack, spring = shared_stack, alice.fundraiser()
    rows = {
        "emails": "email,name\n" + "".join(f"p{n}@example.edu,P {n}\n" for n in range(LINES)),
        "donations": "amount,currency,date,name\n"
        + "".join(f"{n % 7 + 1}.00,USD,2026-05-01,Cash\n" for n in range(LINES)),
    }
    id_ = begin_upload(alice, records, rows[records] + ",,,\nbad\n", fundraiser_id=spring)
    await_state(id_, "ready")
    one = FileImport.objects.get(id=id_)
    assert (one.made, one.found, one.rejected) == (LINES, 0, 1)
    one.start()
    for position in kills:
        await_state(id_, "running", position)
        stack.kill("worker", signal.SIGKILL)
        assert is_at(id_, "running"), "it was not killed at work"
        if records == "donations":
            end_leases()
        stack.start_worker()
    await_state(id_, "done")
    one = FileImport.objects.get(id=id_)
    assert (one.made, one.found, one.rejected) == (LINES, 0, 1)
    assert [line.line for line in one.rejections] == [LINES + 3]
    query = {"organization_id": ObjectId(alice.id)}
    assert get_db()[records].count_documents(query) == LINES
    chunks = get_db().import_chunks
    wait_until(lambda: not chunks.count_documents(query), "no file", WAIT_SECONDS)
    wait_until(lambda: not any(alice.report(spring)["unsettled"].values()), "settled", WAIT_SECONDS)
    assert list(recount.find_drifts()) == []


def test_a_killed_check_begins_again(alice: University, shared_stack: Stack) -> None:
    content = "email\n" + "".join(f"p{n}@example.edu\n" for n in range(LINES))
    id_ = begin_upload(alice, "users", content)
    wait_until(lambda: FileImport.objects.get(id=id_).position, "progress", WAIT_SECONDS)
    shared_stack.kill("worker", signal.SIGKILL)
    assert is_at(id_, "checking")
    end_leases()
    shared_stack.start_worker()
    await_state(id_, "ready")
    one = FileImport.objects.get(id=id_)
    assert (one.made, one.position, one.rows) == (LINES, LINES, LINES)
    assert get_db().users.count_documents({"organization_id": ObjectId(alice.id)}) == 0


def test_a_large_file_delays_no_other_organization(alice: University, shared_stack: Stack) -> None:
    content = "email\n" + "".join(f"p{n}@example.edu\n" for n in range(10 * LINES))
    large = begin_upload(alice, "users", content)
    wait_until(lambda: FileImport.objects.get(id=large).position, "progress", WAIT_SECONDS)
    charlie = create_university("Charlie's University", shared_stack.api())
    small = begin_upload(charlie, "users", "email\nc@example.edu\n")
    await_state(small, "ready")
    assert is_at(large, "checking")
    FileImport.objects.get(id=large).cancel()
    wait_until(lambda: get_db()["leases"].find_one({"_id": f"import:{alice.id}"}) is None, "a stop")
