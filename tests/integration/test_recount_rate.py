"""Short form of tools/bench/recount_rate.py: a recount takes linear time, however much is due."""

from collections import Counter
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db
from pymongo.errors import OperationFailure

from documents.recount import recount
from matchback.engine import snapshots
from matchback.engine.contribution import from_stored
from matchback.engine.recount import Comparison
from tools.bench import recount_rate
from tools.bench.recount_rate import EMAILS_SENT_AT

FEW, MANY = 600, 2400
ROWS_A_PAGE = 100
PROFILE_BYTES = 32 * 1024 * 1024  # by default, MongoDB keeps 1 MB and drops older commands


def work() -> tuple[int, int]:
    """Return MongoDB's work for a recount: the examined documents, and the commands."""
    database = get_db()
    database.create_collection("system.profile", capped=True, size=PROFILE_BYTES)
    database.command("profile", 2)
    assert recount_rate.measure_recount().incorrect == 0
    database.command("profile", 0)
    seen = list(database["system.profile"].find({"ns": {"$not": {"$regex": "profile"}}}))
    database.drop_collection("system.profile")
    return sum(one.get("docsExamined", 0) for one in seen), len(seen)


@pytest.mark.usefixtures("real_database")
def test_four_times_the_records_take_four_times_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matchback.engine.recount.COMPARED_ROWS_PER_PAGE", ROWS_A_PAGE)
    records = recount_rate.store_records(FEW)
    looked_at, commands = work()
    more = recount_rate.store_records(MANY)
    looked_at_then, commands_then = work()
    growth = (records + more) / records
    assert looked_at_then / looked_at < 1.15 * growth
    assert commands_then / commands < 1.15 * growth
    assert looked_at_then < 8 * (records + more)


@pytest.mark.usefixtures("real_database")
def test_pages_share_a_snapshot_and_another_gives_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("matchback.engine.recount.COMPARED_ROWS_PER_PAGE", 50)
    records = recount_rate.store_records(200)
    get_db().emails.update_one({}, {"$inc": {"opens": 1}})
    [shared] = list(recount.find_drifts())
    monkeypatch.setattr(snapshots, "SNAPSHOT_LIFETIME_SECONDS", 0.0)
    assert list(recount.find_drifts()) == [shared]
    assert sum(page.size for page in recount.compare_all_counters()) == records


def count_due_reads() -> tuple[int, int]:
    """Return how often a recount asks for due rows, and how many it receives."""
    database = get_db()
    database.create_collection("system.profile", capped=True, size=PROFILE_BYTES)
    database.command("profile", 2)
    assert recount_rate.measure_recount().incorrect == 0
    database.command("profile", 0)
    asked = {"op": "query", "command.filter.due": {"$type": "object"}}
    reads = [
        one
        for one in database["system.profile"].find(asked)
        if "$type" in one["command"]["filter"]["due"]
    ]
    database.drop_collection("system.profile")
    return len(reads), sum(one["nreturned"] for one in reads)


@pytest.mark.usefixtures("real_database")
def test_due_rows_are_read_once_for_any_number_of_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recount_rate.store_records(FEW)
    seen = set()
    for rows in (FEW * 10, ROWS_A_PAGE, ROWS_A_PAGE // 5):
        monkeypatch.setattr("matchback.engine.recount.COMPARED_ROWS_PER_PAGE", rows)
        seen.add(count_due_reads())
    [(asked, received)] = seen
    assert asked <= len(recount.COUNTED_COLLECTIONS)
    assert received >= FEW // recount_rate.ROWS_A_DUE_ROW


@pytest.mark.usefixtures("real_database")
def test_a_page_that_outlasts_its_snapshot_is_read_in_smaller_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = recount_rate.store_records(100)
    page = Comparison.page
    limits: list[int] = []

    def too_old(self: Comparison, name: str, query: Any, after: Any, limit: int) -> Any:
        limits.append(limit)
        if limit > 20:
            raise OperationFailure("snapshot too old", snapshots.LOST_SNAPSHOT_CODES[0])
        return page(self, name, query, after, limit)

    monkeypatch.setattr(Comparison, "page", too_old)
    assert sum(page.size for page in recount.compare_all_counters()) == records
    assert sorted(set(limits), reverse=True)[:3] == [5000, 1250, 312]


@pytest.mark.usefixtures("real_database")
def test_a_collection_that_fits_a_page_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    records = recount_rate.store_records(40)
    page, read = Comparison.page, Counter[str]()

    def note(self: Comparison, name: str, *args: Any) -> Any:
        read[name] += 1
        return page(self, name, *args)

    monkeypatch.setattr(Comparison, "page", note)
    assert sum(page.size for page in recount.compare_all_counters()) == records
    assert read == dict.fromkeys(recount.COUNTED_COLLECTIONS, 1)


@pytest.mark.usefixtures("real_database")
@pytest.mark.parametrize("state", ["due", "failed"])
def test_unsettled_moves_are_not_differences(state: str) -> None:
    """The old targets still count the record, and the new ones do not yet."""
    recount_rate.store_records(40)
    gifts = list(get_db().donations.find())
    others = list(get_db().users.find({"_id": {"$nin": [gift["user_id"] for gift in gifts]}}))
    for gift, other in zip(gifts, others, strict=False):
        moved = {"user_id": other["_id"], "email_id": ObjectId(), "mailing_donor_id": "x:y:z"}
        mark: dict[str, Any] = {"due": EMAILS_SENT_AT}
        if state == "failed":
            mark = {"trouble": {"tries": 5, "failed_at": EMAILS_SENT_AT}}
            get_db().donations.update_one({"_id": gift["_id"]}, {"$unset": {"due": ""}})
        get_db().donations.update_one({"_id": gift["_id"]}, {"$set": moved | mark})
    assert list(recount.find_drifts()) == []


@pytest.mark.usefixtures("real_database")
def test_the_first_versions_counted_notes_are_read() -> None:
    recount_rate.store_records(40)
    for name in ("emails", "donations", "donors"):
        for row in list(get_db()[name].find()):
            counted = from_stored(row["counted"])
            first = [[where, id_, amounts] for (where, id_), amounts in counted.items()]
            get_db()[name].update_one({"_id": row["_id"]}, {"$set": {"counted": first}})
    assert list(recount.find_drifts()) == []
    get_db().fundraisers.update_one({}, {"$inc": {"raised.USD": 1}})
    [off] = recount.find_drifts()
    assert recount.repair_counter(off)
    assert list(recount.find_drifts()) == []
