"""Reading large posts: each is parsed once, however many transactions it takes."""

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents import sendgrid, tallying
from jobs.tasks import policy
from tests.cast import Api, University, event, university
from tests.settled import settle

AT = 1_700_000_000


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the posts that were parsed."""
    lengths: list[int] = []
    parse = sendgrid.parse

    def counting(body: bytes) -> list[object]:
        lengths.append(len(body))
        return parse(body)

    monkeypatch.setattr(sendgrid, "parse", counting)
    return lengths


def test_a_large_post_is_parsed_once(
    alice: University, monkeypatch: pytest.MonkeyPatch, parsed: list[int]
) -> None:
    monkeypatch.setattr("documents.reader.EVENTS_A_BATCH", 10)
    email = alice.email(alice.fundraiser())
    alice.deliver([event(email, "open", AT + second) for second in range(100)])
    alice.deliver(None, body=b"[" + b"tru," * 100 + b"tru]")
    alice.deliver([event(email, "open", AT + second) for second in range(90, 120)])
    parsed.clear()
    settle()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 120
    assert len(parsed) <= 6  # 24 batches; a batch that is read ahead in vain parses again
    posts = list(get_db().deliveries.find())
    assert [post["refused_events"] for post in posts] == [0, 101, 0]


def test_a_post_whose_events_are_taken_one_by_one_is_parsed_a_few_times(
    alice: University, monkeypatch: pytest.MonkeyPatch, parsed: list[int]
) -> None:
    email = alice.email(alice.fundraiser())
    alice.deliver([event(email, "open", AT + second) for second in range(50)])
    parsed.clear()
    real = tallying.TallyBatch.write

    def fails_together(batch: tallying.TallyBatch, are_new: bool = False) -> None:
        if len(batch.inbox.reports) > 1:
            raise ValueError("one of them is bad")
        real(batch, are_new)

    monkeypatch.setattr(tallying.TallyBatch, "write", fails_together)
    tallying.tally_organization(ObjectId(alice.id), policy().clicks)
    assert get_db().events.count_documents({}) == 50
    assert len(parsed) <= 5
