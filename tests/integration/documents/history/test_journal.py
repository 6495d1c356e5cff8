"""The journal of reports: full hours are summed once, by any worker, and change no figure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.history import hours
from documents.history.journal import JOURNAL
from jobs.periodic import journal as job
from matchback.engine import Tx, transaction
from tools.testbed.cast import Api, University, create_university
from tools.testbed.settled import settle_all

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def read_raised(at: datetime) -> dict[str, int]:
    row: Any = get_db().fundraisers.find_one()
    JOURNAL.restore(Tx(get_db()), [row], at)
    return {name: amount for name, amount in row["raised"].items() if amount}


def give(alice: University, spring: str, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "now", lambda: at)
    alice.gift(spring, 100)
    settle_all()


def test_only_hours_that_are_over_are_summed(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    times = [START + timedelta(minutes=minutes) for minutes in (5, 59, 61, 350)]
    for at in times:
        give(alice, spring, at, monkeypatch)
    assert not hours.sum_next_hour(START + timedelta(minutes=69))
    assert hours.sum_next_hour(START + timedelta(minutes=70))
    assert not hours.sum_next_hour(START + timedelta(minutes=129))
    assert get_db().journal_progress.find_one()["summed_until"] == START + timedelta(hours=1)
    assert hours.sum_next_hour(START + timedelta(hours=9))
    # The hours without changes have no sums.
    assert hours.sum_next_hour(START + timedelta(hours=9))
    assert not hours.sum_next_hour(START + timedelta(hours=9))
    ends = sorted(get_db().counter_sums.distinct("at"))
    assert ends == [START + timedelta(hours=number) for number in (1, 2, 6)]
    for number, at in enumerate(times, 1):
        assert read_raised(at) == {"USD": 100 * number}
        assert read_raised(at - timedelta(seconds=1)).get("USD", 0) == 100 * (number - 1)


def test_a_worker_that_was_killed_before_it_noted_its_progress_changes_nothing(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    for minutes in (5, 70):
        give(alice, spring, START + timedelta(minutes=minutes), monkeypatch)
    monkeypatch.setattr(job, "now", lambda: START + timedelta(hours=5))
    while job.step():
        pass
    sums = list(get_db().counter_sums.find().sort("_id", 1))
    get_db().journal_progress.delete_many({})
    while job.step():
        pass
    assert list(get_db().counter_sums.find().sort("_id", 1)) == sums
    assert read_raised(START + timedelta(hours=1)) == {"USD": 100}
