"""Repair of a stored counter that is not a number."""

from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.counters import LEDGER
from documents.recount import recount
from matchback.engine.recount import flatten_counters
from tools.testbed.cast import Api, create_university
from tools.testbed.settled import settle_all

ODD = ["many", "", [1], [], {}, {"x": 3}, None, True, float("nan"), 1.5]


@pytest.mark.parametrize("wrong", ODD, ids=repr)
@pytest.mark.parametrize(
    ("collection", "fields"),
    [
        ("fundraisers", ["donors", "raised"]),
        ("emails", ["opens"]),
        ("emails", ["opens", "clicks", "donations_count"]),
        ("mailings", ["emails_count", "funnel", "by_match"]),
    ],
)
def test_a_counter_that_is_not_a_number_is_repaired(
    real_client: testing.TestClient, collection: str, fields: list[str], wrong: Any
) -> None:
    alice = create_university("Alice's University", Api.in_process(real_client))
    spring = alice.fundraiser()
    email = alice.email(spring, mailing_id=alice.mailing(spring))
    alice.gift(spring, 100, email_id=email)
    settle_all()
    before = get_db()[collection].find_one({})
    assert before
    get_db()[collection].update_one({}, {"$set": dict.fromkeys(fields, wrong)})
    for _ in range(3):  # a value of the wrong shape can hide another one
        for drift in list(recount.find_drifts()):
            recount.repair_counter(drift)
    assert list(recount.find_drifts()) == []
    after = get_db()[collection].find_one({})
    assert after
    assert flatten_counters(LEDGER, collection, after) == flatten_counters(
        LEDGER, collection, before
    )
