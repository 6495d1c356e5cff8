"""Short form of tools/bench/sensitivity_rate.py: linear work, and short pages in the worst case."""

from typing import Any

import pytest
from mongoengine import get_db

from documents.sensitivity import page
from tools.bench.sensitivity_rate import GIFT_CENTS, Donors, measure, store_donors

FEW, MANY = Donors(100, 3, 2), Donors(400, 3, 2)
PERSISTENT_DONOR = Donors(1, 100, 60)
PROFILE_BYTES = 32 * 1024 * 1024


def work(donors: Donors) -> tuple[int, int]:
    """Return MongoDB's work: the examined documents, and the commands."""
    store_donors(donors)
    database = get_db()
    for name in database.list_collection_names():
        database.command("planCacheClear", name)  # plans of other tests would examine more
    database.create_collection("system.profile", capped=True, size=PROFILE_BYTES)
    database.command("profile", 2)
    measure(donors)
    database.command("profile", 0)
    seen = list(database["system.profile"].find({"ns": {"$not": {"$regex": "profile"}}}))
    database.drop_collection("system.profile")
    return sum(one.get("docsExamined", 0) for one in seen), len(seen)


def list_published() -> list[Any]:
    return list(get_db().sensitivities.find({}, sort=[("_id", 1)]))


@pytest.mark.usefixtures("real_database")
def test_four_times_the_gifts_take_four_times_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "GIFTS_PER_PAGE", 50)
    monkeypatch.setattr(page, "PAGE_SECONDS", 60.0)
    looked_at, commands = work(FEW)
    get_db().users.delete_many({})
    looked_at_then, commands_then = work(MANY)
    assert looked_at_then < 4.4 * looked_at
    assert commands_then < 4.4 * commands
    assert looked_at_then < 8 * MANY.count * MANY.gifts


@pytest.mark.usefixtures("real_database")
def test_a_page_ends_early_if_a_donor_has_very_many_emails(monkeypatch: pytest.MonkeyPatch) -> None:
    store_donors(PERSISTENT_DONOR)
    monkeypatch.setattr(page, "PAGE_SECONDS", 0.0)
    compute, pages = page.compute_page, list[int]()

    def noted(*args: Any) -> Any:
        found = compute(*args)
        pages.append(sum(found.sums.by_mailing[next(iter(found.sums.by_mailing))].values()))
        return found

    monkeypatch.setattr("documents.sensitivity.run.compute_page", noted)
    measure(PERSISTENT_DONOR)
    assert len(pages) == PERSISTENT_DONOR.gifts  # one gift in each page
    every = PERSISTENT_DONOR.gifts * GIFT_CENTS
    sums = [row["sums"] for row in list_published()]
    for rule in ("first_7", "last_7", "first_30", "last_30", "credited"):
        assert sum(one.get(rule, {}).get("USD", 0) for one in sums) == every
