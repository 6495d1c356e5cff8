"""The end of an import is one event, whatever interrupts the import."""

import io
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.imports import attempt
from documents.imports.attempt import end_attempt
from documents.imports.file_import import FileImport
from documents.imports.run import ImportWork, Superseded
from documents.outgoing import facts
from documents.outgoing.bodies import build_bodies
from documents.outgoing.event_delivery import EventDelivery
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from jobs.periodic import imports as job
from tools.testbed.cast import Api, University, create_university

PEOPLE = b"email,name\nbob@example.edu,Bob\nnot an address,Eve\n"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    WebhookEndpoint.add(ObjectId(alice.id), "https://crm.example.edu/hook")
    return alice


def upload(alice: University) -> FileImport:
    new = FileImport.upload(
        ObjectId(alice.id), io.BytesIO(PEOPLE), records="users", filename="Bob's friends.csv"
    )
    new.begin_check()
    return new


def work() -> None:
    while job.step():
        pass


def start(one: FileImport) -> None:
    work()
    FileImport.objects.get(id=one.id).start()


def list_events() -> list[EventDelivery]:
    return list(EventDelivery.objects.order_by("version"))


def test_the_end_of_an_import_is_reported_with_its_counts(alice: University) -> None:
    one = upload(alice)
    start(one)
    assert list_events() == []
    work()
    (told,) = list_events()
    assert told.type == "import.finished"
    assert orjson.loads(build_bodies([told])[0])["data"] == {
        "id": str(one.id),
        "records": "users",
        "state": "done",
        "rows": 2,
        "created": 1,
        "found": 0,
        "rejected": 1,
    }
    assert "Bob" not in str(list(get_db().event_deliveries.find()))


def test_a_killed_end_is_reported_once(alice: University, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker dies after it wrote the end and the event, and before the commit."""
    one = upload(alice)
    start(one)
    note_fact = facts.note_fact

    def die(*args: Any, **fields: Any) -> None:
        note_fact(*args, **fields)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(attempt, "note_fact", die)
        with pytest.raises(KeyboardInterrupt):
            work()
    assert FileImport.objects.get(id=one.id).state == "running"
    assert list_events() == []
    work()
    work()
    assert [told.data["state"] for told in list_events()] == ["done"]


def test_an_attempt_that_a_person_or_worker_replaced_reports_nothing(alice: University) -> None:
    one = upload(alice)
    start(one)
    first, second = (ImportWork(FileImport.objects.get(id=one.id)) for _ in range(2))
    for _ in first.steps():
        pass
    with pytest.raises(Superseded):
        for _ in second.steps():
            pass
    assert len(list_events()) == 1
    cancelled = upload(alice)
    start(cancelled)
    late = FileImport.objects.get(id=cancelled.id)
    FileImport.objects.get(id=cancelled.id).cancel()
    assert end_attempt(late, "done") is False
    assert len(list_events()) == 1


def test_a_failed_import_that_succeeds_later_is_reported_twice(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = upload(alice)
    start(one)
    with monkeypatch.context() as patched:
        patched.setattr(ImportWork, "_import_batch", None)
        work()
    failed = FileImport.objects.get(id=one.id)
    assert failed.state == "failed"
    failed.choose({}, ())
    start(one)
    work()
    told = list_events()
    assert [event.data["state"] for event in told] == ["failed", "done"]
    assert told[0].version < told[1].version


def test_other_organizations_and_endpoints_hear_nothing(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    for of, events in ((charlie, ["import.finished"]), (alice, ["donation.matched"])):
        WebhookEndpoint.add(ObjectId(of.id), "https://other.example.edu", events)
    start(upload(alice))
    work()
    assert len(list_events()) == 1


def test_a_worker_that_is_killed_leaves_no_copy_of_the_file(
    alice: University, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The copy has donors, and would outlive the organization."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one = FileImport.objects.get(id=upload(alice).id)
    for _ in ImportWork(one).steps():
        assert list(tmp_path.iterdir()) == []
