"""Reading large posts: each is parsed once, for any number of transactions."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.concurrency import drain
from documents.providers.provider import parse_items
from documents.storage.transaction import in_transaction
from documents.tracking import ingest, reader
from documents.tracking.ingest_batch import TallyBatch
from documents.tracking.reader import DeliveryPart
from documents.values.time import now
from jobs.tasks import build_settling_policy
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
ORGANIZATION = ObjectId()


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the lengths of the parsed posts."""
    lengths: list[int] = []
    parse = parse_items

    def counting(body: bytes) -> list[object]:
        lengths.append(len(body))
        return parse(body)

    monkeypatch.setattr(reader, "parse_items", counting)
    return lengths


def test_a_large_post_is_parsed_once(
    alice: University, monkeypatch: pytest.MonkeyPatch, parsed: list[int]
) -> None:
    monkeypatch.setattr("documents.tracking.reader.EVENTS_PER_BATCH", 10)
    email = alice.email(alice.fundraiser())
    alice.deliver([make_event(email, "open", AT + second) for second in range(100)])
    alice.deliver(None, body=b"[" + b"tru," * 100 + b"tru]")
    alice.deliver([make_event(email, "open", AT + second) for second in range(90, 120)])
    parsed.clear()
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 120
    assert len(parsed) <= 6  # 24 batches; an unused batch that was read ahead is parsed again
    posts = list(get_db().deliveries.find())
    assert [post["refused_events"] for post in posts] == [0, 101, 0]


def test_a_post_counted_event_by_event_is_parsed_a_few_times(
    alice: University, monkeypatch: pytest.MonkeyPatch, parsed: list[int]
) -> None:
    email = alice.email(alice.fundraiser())
    alice.deliver([make_event(email, "open", AT + second) for second in range(50)])
    parsed.clear()
    real = TallyBatch.write

    def fails_together(batch: TallyBatch, are_new: bool = False) -> None:
        if len(batch.inbox.reports) > 1:
            raise ValueError("one of them is bad")
        real(batch, are_new)

    monkeypatch.setattr(TallyBatch, "write", fails_together)
    ingest.tally_organization(ObjectId(alice.id), build_settling_policy().clicks)
    assert get_db().events.count_documents({}) == 50
    assert len(parsed) <= 5


def test_unreadable_items_take_no_place_in_a_batch() -> None:
    part = DeliveryPart(ORGANIZATION, "sendgrid", ObjectId(), now(), first=0, most=16)
    reading = reader._read_part(part, [None] * 99_000 + [make_event("1", "open", AT)] * 20)
    assert (reading.next_item, len(reading.reports)) == (99_016, 16)
    assert (reading.refused_count, len(reading.refused)) == (99_000, reader.MAX_REJECTED_ITEMS)


def test_a_batch_of_one_event_starts_at_that_event() -> None:
    items = [None, None, make_event("1", "open", AT), None]
    first = reader._read_part(
        DeliveryPart(ORGANIZATION, "sendgrid", ObjectId(), now(), 0, 1), items
    )
    assert (first.next_item, first.reports, first.refused_count) == (2, [], 2)
    second = reader._read_part(
        DeliveryPart(ORGANIZATION, "sendgrid", ObjectId(), now(), 2, 1), items
    )
    assert (second.next_item, len(second.reports)) == (3, 1)


def test_a_backlog_of_small_posts_takes_few_transactions(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = alice.email(alice.fundraiser())
    settle_all()
    for number in range(60):
        alice.deliver([make_event(email, "open", 1_700_000_000 + number)])
    attempts: list[object] = []

    def counted(*work: Any) -> Any:
        if work[0].__name__ == "_tally_in_turn":
            attempts.append(work)
        return in_transaction(*work)

    monkeypatch.setattr(drain, "in_transaction", counted)
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 60
    assert 1 <= len(attempts) <= 3
