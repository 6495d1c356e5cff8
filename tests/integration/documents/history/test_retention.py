"""Old changes are deleted. Later figures stay exact, and earlier ones are never incorrect."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db
from pymongo.collection import Collection

from config.settings import get_settings
from documents.history import hours, retention
from documents.history.hours import floor_hour
from documents.history.retention import drop_old_changes
from documents.reports import past_report
from documents.values.fields import format_time
from jobs.periodic import retention as job
from tests.integration.documents.history.day import RandomDay
from tests.integration.documents.history.test_past_reports import note_reports, read_figures
from tools.testbed.cast import Api, University, create_university
from tools.testbed.stored import StoredRecords, read_records, store_records

HISTORY = ("counter_changes", "gift_changes")
Noted = list[tuple[datetime, dict[str, Any], dict[str, Any]]]


@dataclass(frozen=True)
class LivedDay:
    """A day that is over, with everything that is stored then."""

    day: RandomDay
    noted: Noted
    records: StoredRecords


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def read_explanations(day: RandomDay, since: datetime) -> dict[str, Any]:
    """Return the changes of each fundraiser since a time."""
    times = f"from={format_time(since)}&to={format_time(day.at)}&limit=200"
    paths = [f"/v1/fundraisers/{id_}/changes?{times}" for id_ in day.fundraisers]
    return {path: day.alice.get(path) for path in paths}


@pytest.fixture(scope="module")
def lived_days() -> dict[int, LivedDay]:
    """Keep the days by seed, because a day takes longer than any test of it."""
    return {}


@pytest.fixture(params=[21, 22])
def lived_day(
    request: pytest.FixtureRequest,
    alice: University,
    monkeypatch: pytest.MonkeyPatch,
    lived_days: dict[int, LivedDay],
) -> LivedDay:
    """Return a day that has just ended."""
    if request.param not in lived_days:
        lived_days[request.param] = live(RandomDay(alice, monkeypatch, request.param))
    lived = lived_days[request.param]
    store_records(get_db(), lived.records)
    lived.day.alice.api = alice.api
    lived.day.set_clock(monkeypatch)
    return lived


@pytest.fixture
def busy_day(lived_day: LivedDay) -> RandomDay:
    return lived_day.day


@pytest.fixture
def noted(lived_day: LivedDay) -> Noted:
    """Return the reports that staff saw at each time, and the changes since then until the end."""
    return lived_day.noted


def live(day: RandomDay) -> LivedDay:
    reports = []
    for _ in range(40):
        day.step()
        reports.append((day.at, note_reports(day)))
    while hours.sum_next_hour(day.at):
        pass
    noted = [(at, one, read_explanations(day, at)) for at, one in reports]
    return LivedDay(day, noted, read_records(get_db()))


def assert_known(alice: University, noted: Noted, kept_from: datetime) -> None:
    """Check that the figures since a time are exact, and that earlier times are rejected."""
    for at, reports, changes in noted:
        asked = {f"{path}?as_of={format_time(at)}": one for path, one in reports.items()}
        for path, figures in asked.items():
            if at >= kept_from:
                assert read_figures(alice, path) == figures, (at, path)
            else:
                assert_rejected(alice, path, "/as_of")
        for path, told in changes.items():
            if at >= kept_from:
                assert alice.get(path) == told
            else:
                assert_rejected(alice, path, "/from")


def assert_rejected(alice: University, path: str, pointer: str) -> None:
    answer = alice.call("GET", path)
    assert answer.status == 422, path
    (error,) = answer.json["errors"]
    assert (error["pointer"], error["code"]) == (pointer, "before_history")


def test_later_figures_stay_exact_and_earlier_times_are_rejected(
    busy_day: RandomDay, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "DROPPED_CHANGES_PER_STEP", 7)
    for number in (10, 20, 39):
        before = noted[number][0]
        drop_all(before)
        kept_from = min(floor_hour(before), read_summed_until())
        assert_known(busy_day.alice, noted, kept_from)
        for name in HISTORY:
            assert not [row for row in get_db()[name].find() if row["at"] < kept_from]
    earlier = get_db().counter_sums.aggregate(
        [{"$match": {"at": {"$lte": kept_from}}}, {"$group": {"_id": "$of", "n": {"$sum": 1}}}]
    )
    assert {row["n"] for row in earlier} == {1}


def test_the_answer_names_the_first_known_time(busy_day: RandomDay, noted: Noted) -> None:
    drop_old_changes(noted[20][0])
    kept_from = format_time(floor_hour(noted[20][0]))
    path = f"/v1/fundraisers/{busy_day.fundraisers[0]}/report?as_of={format_time(noted[0][0])}"
    (error,) = busy_day.alice.call("GET", path).json["errors"]
    assert error["detail"] == (
        f"Must not be before {kept_from}, because earlier history is deleted."
    )
    assert busy_day.alice.get(f"{path.split('=', maxsplit=1)[0]}={kept_from}")["as_of"] == kept_from


def test_changes_that_no_sum_includes_stay(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = RandomDay(alice, monkeypatch, 23)
    for _ in range(10):
        day.step()
    kept = {name: get_db()[name].count_documents({}) for name in HISTORY}
    assert drop_old_changes(day.at + timedelta(days=9)) == 0
    assert {name: get_db()[name].count_documents({}) for name in HISTORY} == kept
    assert hours.sum_next_hour(day.at + timedelta(hours=2))
    summed_until = read_summed_until()
    drop_all(day.at + timedelta(days=9))
    left = [row["at"] for name in HISTORY for row in get_db()[name].find()]
    assert left
    assert min(left) >= summed_until


def test_a_kill_between_any_two_deletions_changes_no_figure(
    busy_day: RandomDay, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_from = floor_hour(noted[25][0])
    monkeypatch.setattr(retention, "DROPPED_CHANGES_PER_STEP", 25)
    for allowed in range(6):
        with monkeypatch.context() as patch:
            stop_after(patch, allowed)
            with pytest.raises(ProcessLookupError):
                drop_all(noted[25][0])
        assert_known(busy_day.alice, noted[20:30], kept_from)
    drop_all(noted[25][0])
    assert_known(busy_day.alice, noted, kept_from)


def stop_after(patch: pytest.MonkeyPatch, deletions: int) -> None:
    """Make the process end at a deletion after this number of others."""
    left: Iterator[int] = iter(range(deletions))
    delete = Collection.delete_many

    def delete_many(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.name not in (*HISTORY, "counter_sums"):
            return delete(self, *args, **kwargs)
        if next(left, None) is None:
            raise ProcessLookupError
        return delete(self, *args, **kwargs)

    patch.setattr(Collection, "delete_many", delete_many)


@pytest.mark.parametrize(
    ("step", "status"),
    [("find_journal_start", 422), ("read_at", 200)],
    ids=["before the snapshot", "within the snapshot"],
)
def test_a_deletion_during_a_report_changes_no_figure(
    busy_day: RandomDay,
    noted: Noted,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    status: int,
) -> None:
    at, reports, _ = noted[5]
    undisturbed = getattr(past_report, step)

    def run_after_deletion(*args: Any) -> Any:
        drop_all(noted[-1][0])
        return undisturbed(*args)

    path, figures = next(iter(reports.items()))
    with monkeypatch.context() as patch:
        patch.setattr(past_report, step, run_after_deletion)
        answer = busy_day.alice.call("GET", f"{path}?as_of={format_time(at)}")
    assert answer.status == status
    if status == 200:
        assert {name: answer.json[name] for name in figures} == figures
    assert_rejected(busy_day.alice, f"{path}?as_of={format_time(at)}", "/as_of")
    assert not get_db().gift_changes.count_documents({"at": {"$lt": read_summed_until()}})


def test_a_page_of_changes_that_is_deleted_meanwhile_is_rejected(
    busy_day: RandomDay, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(iter(noted[5][2]))
    first = busy_day.alice.get(path.replace("limit=200", "limit=2"))
    later = f"{path}&cursor={first['next_cursor']}"
    assert busy_day.alice.get(later)["data"]
    drop_all(noted[-1][0])
    assert_rejected(busy_day.alice, later, "/from")


def test_a_worker_deletes_by_the_setting(
    busy_day: RandomDay, noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    age = timedelta(days=get_settings().keep_history_days)
    assert age == timedelta(days=400)
    monkeypatch.setattr(job, "now", lambda: noted[20][0] + age)
    while job.step():
        pass
    assert_known(busy_day.alice, noted, floor_hour(noted[20][0]))


def drop_all(before: datetime) -> None:
    while drop_old_changes(before):
        pass


def read_summed_until() -> datetime:
    row: Any = get_db().journal_progress.find_one()
    summed_until: datetime = row["summed_until"]
    return summed_until
