"""A recount compares only what it should, and completes its rounds."""

import pytest
from bson import ObjectId
from mongoengine import get_db

from documents.fundraiser import Fundraiser
from documents.recount import background as steady_recount
from documents.recount import recount
from documents.recount.background import SteadyRecount
from documents.user import User
from jobs.periodic import recount as recounting

pytestmark = pytest.mark.usefixtures("real_database")


def test_a_recount_of_one_fundraiser_compares_no_other() -> None:
    first, second = (Fundraiser.create(ObjectId(), {"name": name}) for name in ("A", "B"))
    get_db().fundraisers.update_one({"_id": second.id}, {"$inc": {"raised.USD": 1}})
    assert [page.drifts for page in recount.compare_all_counters(first.id)] == [[]]
    assert sum(len(page.drifts) for page in recount.compare_all_counters(second.id)) == 1


def test_the_steady_recount_completes_rounds_and_reports_its_findings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = [User.create(ObjectId(), "U", f"{n}@x.edu") for n in range(5)]
    get_db().users.update_one({"_id": users[2].id}, {"$set": {"emails_count": 7}})
    monkeypatch.setattr("documents.recount.background.RECOUNTED_ROWS_PER_STEP", 2)
    assert steady_recount.find_last_result() is None
    steps = 0
    while recounting.step():
        steps += 1
    found = steady_recount.find_last_result()
    assert found is not None
    assert found[0] == 1
    assert steps >= len(recount.COUNTED_COLLECTIONS) + 3
    assert SteadyRecount.current().last_compared == 5
