"""A slow or busy database does not mark records as bad, and a bad record blocks nothing else."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db
from pymongo import WriteConcern
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from config import database
from documents.concurrency import batches, drain, retries
from documents.concurrency.batch_size import BatchSize
from documents.matching import decide as matching
from documents.payments import ingest as payments
from documents.settling import settle as settling
from documents.settling.policies import SettlingPolicy
from documents.storage import shutdown, transaction
from documents.tracking.inbox import skip_event
from documents.tracking.reader import choose_parts, find_due_deliveries
from documents.values.time import now
from jobs.sweep import iterate_due_groups, sweep_due_records
from jobs.tasks import update_email_donation
from matchback.engine.transaction import Tx
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import make_charge_event, post_stripe_event, set_stripe_secret

AT = 1_700_000_000
MANY = 60
SETTLED = ("external_id", "counted", "match", "email_id", "mailing_id", "decision", "donor_id")
DUE = {"due": {"$type": "date"}}
# MongoDB's errors within a transaction that only mean slow or busy.
SLOW = [290, 251, 24, 112, 46, 50, 262, 267, 246, 239, 11601, 202, 175, 237, 365, 402]


@pytest.fixture
def alice(real_client: testing.TestClient) -> Iterator[University]:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    set_stripe_secret(alice)
    yield alice
    database.get_client().admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


@contextmanager
def failing(code: int, times: int | None, *commands: str, labels: bool = False) -> Iterator[None]:
    """Make MongoDB fail this many of these commands with an error; None fails all of them."""
    data: dict[str, Any] = {"failCommands": list(commands), "errorCode": code}
    if labels:
        data["errorLabels"] = ["TransientTransactionError"]
    admin = database.get_client().admin
    mode: Any = "alwaysOn" if times is None else {"times": times}
    admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
    try:
        yield
    finally:
        admin.command("configureFailPoint", "failCommand", mode="off")


def copies(collection: str, id_: str, number: int, **more: Any) -> list[ObjectId]:
    """Insert due copies of a record."""
    row = get_db()[collection].find_one({"_id": ObjectId(id_)})
    assert row is not None
    row = {name: value for name, value in row.items() if name not in SETTLED}
    rows = [{**row, **more, "due": now(), "_id": ObjectId()} for _ in range(number)]
    get_db()[collection].insert_many(rows)
    return [one["_id"] for one in rows]


def poison(emails: list[ObjectId]) -> None:
    """Create emails whose counters cannot be incremented."""
    broken = {"opens": "many", "donations_count": "many"}
    get_db().emails.update_many({"_id": {"$in": emails}}, {"$set": broken})


def troubled(collection: str) -> list[Any]:
    return [row["_id"] for row in get_db()[collection].find({"trouble": {"$exists": True}})]


class Transactions:
    """A counter of the transactions that settle, tally or read posts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        monkeypatch.setattr(drain, "in_transaction", self._counted(transaction.in_transaction))

    def _counted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.number += 1
            return original(*args, **kwargs)

        return counted


@pytest.mark.parametrize("code", SLOW)
def test_a_slow_response_does_not_count_as_an_attempt_of_a_gift(
    alice: University, code: int
) -> None:
    spring = alice.fundraiser()
    gifts = [alice.gift(spring) for _ in range(3)]
    with failing(code, 3, "update", "insert", "bulkWrite"):
        settle_all()
    assert alice.report(spring)["donations"]["count"] == len(gifts)
    assert troubled("donations") == []


@pytest.mark.parametrize("code", [290, 24, 262])
def test_a_slow_response_does_not_count_as_an_attempt_of_a_post(
    alice: University, code: int
) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    settle_all()
    alice.deliver([make_event(email, "open", AT + number) for number in range(5)])
    assert (
        post_stripe_event(
            alice, make_charge_event("succeeded", metadata={"fundraiser_id": spring})
        ).status
        == 202
    )
    with failing(code, 4, "update", "insert"):
        settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 5
    assert alice.report(spring)["donations"]["count"] == 1
    assert troubled("deliveries") == []


def test_a_slow_database_ends_the_sweep_without_an_attempt(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "SLOW_DATABASE_PATIENCE_SECONDS", 0.2)
    spring = alice.fundraiser()
    gift = alice.gift(spring)
    with failing(290, None, "update"):
        with pytest.raises(PyMongoError):
            sweep_due_records()
        update_email_donation.call_local(gift)  # the job does not fail
    assert troubled("donations") == []
    settle_all()
    assert alice.report(spring)["donations"]["count"] == 1


def test_a_gift_that_is_always_too_slow_is_settled_last(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest gift outlasts a transaction's lifetime, in every batch that contains it."""
    monkeypatch.setattr(batches, "SLOW_DATABASE_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(batches, "LONG_BATCH_SECONDS", 0.05)
    spring = alice.fundraiser()
    slow, *_ = gifts = [ObjectId(alice.gift(spring)) for _ in range(4)]
    original = matching.decide_matches

    def decide(tx: Any, changes: Any, policy: Any) -> None:
        if any(row["_id"] == slow for row in changes.rows.get("donations", ())):
            time.sleep(0.1)
            raise OperationFailure("the transaction lived too long", 290)
        original(tx, changes, policy)

    monkeypatch.setattr(settling, "decide_matches", decide)
    for _ in range(4):
        with contextlib.suppress(PyMongoError):
            settling.settle_fundraiser(ObjectId(spring), SettlingPolicy())
    assert alice.report(spring)["donations"]["count"] == len(gifts) - 1
    (row,) = get_db().donations.find(DUE)
    assert (row["_id"], row["trouble"]["tries"]) == (slow, 0)
    assert row["trouble"]["retry_at"] > now()
    retries.postpone_record(
        "donations", slow, PyMongoError()
    )  # as another worker does at the same time
    get_db().donations.update_one({"_id": slow}, {"$set": {"trouble.retry_at": now()}})
    retries.postpone_record("donations", slow, PyMongoError())
    (row,) = get_db().donations.find(DUE)
    assert row["trouble"]["slow"] == 2
    monkeypatch.setattr(settling, "decide_matches", original)
    get_db().donations.update_one({"_id": slow}, {"$set": {"trouble.retry_at": now()}})
    settle_all()
    assert alice.report(spring)["donations"]["count"] == len(gifts)
    assert troubled("donations") == []


def test_patience_begins_with_the_first_attempt(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "SLOW_DATABASE_PATIENCE_SECONDS", 0.2)
    attempts: list[float] = []

    def slow() -> int:
        attempts.append(time.monotonic())
        time.sleep(0.3)
        raise OperationFailure("the transaction lived too long", 290)

    with pytest.raises(OperationFailure):
        batches.Batches(("slow", None), 100).take(slow)
    assert len(attempts) == 1


def test_another_open_transaction_does_not_block_a_thread(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write conflict outlasts its retries."""
    monkeypatch.setattr(transaction, "MAX_RETRY_SECONDS", 0.3)
    monkeypatch.setattr(batches, "SLOW_DATABASE_PATIENCE_SECONDS", 0.3)
    spring = alice.fundraiser()
    gift = alice.gift(spring)
    with database.get_client().start_session() as session:
        session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority"))
        where = {"_id": ObjectId(spring)}
        get_db().fundraisers.update_one(where, {"$set": {"held": 1}}, session=session)
        begun = time.monotonic()
        with pytest.raises(PyMongoError):
            settling.settle_fundraiser(ObjectId(spring), SettlingPolicy())
        assert time.monotonic() - begun < 2
        session.abort_transaction()
    assert troubled("donations") == []
    settle_all()
    assert alice.report(spring)["donations"]["count"] == 1
    assert gift


def test_after_a_slow_batch_sizes_grow_again(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SETTLED_ROWS_PER_BATCH", MANY)
    spring = alice.fundraiser()
    gift = alice.gift(spring)
    settle_all()
    copies("donations", gift, 10 * MANY)
    taken: list[int] = []
    original = batches.Batches._succeeded

    def succeeded(self: batches.Batches, started: float, done: int) -> None:
        taken.append(done)
        original(self, started, done)

    monkeypatch.setattr(batches.Batches, "_succeeded", succeeded)
    with failing(290, 2, "update"):
        settling.settle_fundraiser(ObjectId(spring), SettlingPolicy())
    assert taken[0] == MANY // 4
    assert MANY in taken[1:]
    assert sum(taken) == 10 * MANY
    settle_all()


def test_one_bad_gift_among_many_costs_few_transactions(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    bad, good = alice.email(spring), alice.email(spring)
    gift = alice.gift(spring, 100, email_id=good)
    settle_all()
    poison([ObjectId(bad)])
    copies("donations", gift, 249)
    broken = ObjectId(alice.gift(spring, 100, email_id=bad))
    copies("donations", gift, 249)
    transactions = Transactions(monkeypatch)
    sweep_due_records()
    assert troubled("donations") == [broken]
    assert get_db().donations.count_documents(DUE) == 1
    assert transactions.number < 40
    assert alice.report(spring)["donations"]["count"] == 499


def test_bad_events_at_both_ends_of_a_post_cost_few_transactions(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    bad, good = alice.email(spring), alice.email(spring)
    settle_all()
    poison([ObjectId(bad)])
    opens = [make_event(good, "open", AT + number) for number in range(200)]
    alice.deliver([make_event(bad, "open", AT), *opens, make_event(bad, "click", AT)])
    transactions = Transactions(monkeypatch)
    sweep_due_records()
    assert alice.get(f"/v1/emails/{good}")["opens"] == 200
    (delivery,) = get_db().deliveries.find()
    assert delivery["trouble"]["tries"] == 1
    assert "next_item" not in delivery
    assert transactions.number < 60

    get_db().emails.update_one({"_id": ObjectId(bad)}, {"$set": {"opens": 0, "donations_count": 0}})
    get_db().deliveries.update_many({}, {"$unset": {"trouble.retry_at": ""}})
    settle_all()
    (delivery,) = get_db().deliveries.find()
    assert "trouble" not in delivery
    assert "due" not in delivery
    assert delivery["counted_events"] == 202
    assert alice.get(f"/v1/emails/{bad}")["opens"] == 1


def test_a_bad_event_after_empty_posts_is_isolated(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    bad, good = alice.email(spring), alice.email(spring)
    settle_all()
    poison([ObjectId(bad)])
    for events in ([], [make_event(bad, "open", AT)], [], [make_event(good, "open", AT)]):
        assert alice.deliver(events).status == 202
    stopping = threading.Event()
    monkeypatch.setattr(shutdown, "_stopping", stopping)
    endless = threading.Timer(20, stopping.set)  # without this, a failure would loop forever
    endless.start()
    sweep_due_records()
    endless.cancel()
    assert not stopping.is_set()
    assert alice.get(f"/v1/emails/{good}")["opens"] == 1
    assert len(troubled("deliveries")) == get_db().deliveries.count_documents(DUE) == 1


def test_workers_that_find_the_same_bad_record_at_once_note_one_attempt(alice: University) -> None:
    spring = alice.fundraiser()
    gift = ObjectId(alice.gift(spring))
    alice.deliver([make_event(spring, "open", AT)])
    [post] = find_due_deliveries(Tx(get_db()), {**DUE, **retries.exclude_postponed(now())})
    [part] = choose_parts([post], 1)
    for _ in range(3):
        retries.note_failed_attempt("donations", gift, TypeError())
        skip_event(get_db(), part, "TypeError")
    for name in ("donations", "deliveries"):
        (row,) = get_db()[name].find(DUE)
        assert row["trouble"]["tries"] == 1


def test_a_payment_that_raises_is_isolated(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    for number in range(40):
        ids: dict[str, Any] = {"id": f"ch_{number}", "payment_intent": f"pi_{number}"}
        post_stripe_event(
            alice, make_charge_event("succeeded", **ids, metadata={"fundraiser_id": spring})
        )
    broken = get_db().deliveries.find_one(sort=[("_id", -1)])
    assert broken
    original = payments.read_payment_webhook

    def read(delivery: Any) -> Any:
        if delivery["_id"] == broken["_id"]:
            raise TypeError
        return original(delivery)

    monkeypatch.setattr(payments, "read_payment_webhook", read)
    transactions = Transactions(monkeypatch)
    sweep_due_records()
    assert troubled("deliveries") == [broken["_id"]]
    assert alice.report(spring)["donations"]["count"] == 39
    assert transactions.number < 30


def test_thousands_of_bad_gifts_do_not_delay_other_organizations(
    alice: University, charlie: University
) -> None:
    """Groups take turns, as in the worker's sweep."""
    spring, autumn = alice.fundraiser(), charlie.fundraiser("Autumn")
    bad = alice.email(spring)
    gift = alice.gift(spring, 100)
    settle_all()
    poison([ObjectId(bad)])
    rows = copies("donations", gift, 2000, email_ref=bad)
    charlie.gift(autumn, 100)
    begun = time.monotonic()
    for _, part in iterate_due_groups(timedelta(0)):
        part()
    assert time.monotonic() - begun < 5
    assert charlie.report(autumn)["donations"]["count"] == 1
    noted = len(troubled("donations"))
    assert 0 < noted < len(rows)
    begun = time.monotonic()
    update_email_donation.call_local(str(rows[-1]))  # leaves the record to the sweep
    assert time.monotonic() - begun < 1
    assert len(troubled("donations")) == noted


def test_isolation_stops_when_the_process_stops(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    bad = alice.email(spring)
    gift = alice.gift(spring, 100)
    settle_all()
    poison([ObjectId(bad)])
    copies("donations", gift, 1000, email_ref=bad)
    stopping = threading.Event()
    monkeypatch.setattr(shutdown, "_stopping", stopping)
    threading.Timer(0.3, stopping.set).start()
    begun = time.monotonic()
    sweep_due_records()
    assert time.monotonic() - begun < 3
    assert get_db().donations.count_documents(DUE) > 0


def test_a_batch_size_halves_and_doubles() -> None:
    size = BatchSize(250)
    size.shrink()
    assert size.now == 125
    size.shrink(taken=10)
    assert size.now == 5
    for _ in range(5):
        size.shrink()
    assert size.now == 1
    for _ in range(20):
        size.succeeded(0.1)
    assert size.now == 250
    assert size.is_full
    size.succeeded(1.0)
    assert size.now == 250
    size.succeeded(2.0)
    assert size.now == 125
