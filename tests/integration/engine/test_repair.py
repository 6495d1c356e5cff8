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
    real_client: testing.TestClient, collection: str, fields: list[str]
) -> None:
    alice = create_university("Alice's University", Api.in_process(real_client))
    spring = alice.fundraiser()
    email = alice.email(spring, mailing_id=alice.mailing(spring))
    alice.gift(spring, 100, email_id=email)
    settle_all()
    before = read_counters(collection)
    for wrong in ODD:
        get_db()[collection].update_one({}, {"$set": dict.fromkeys(fields, wrong)})
        repair_all()
        assert read_counters(collection) == before, wrong


def read_counters(collection: str) -> dict[str, Any]:
    record = get_db()[collection].find_one({})
    assert record
    return dict(flatten_counters(LEDGER, collection, record))


def repair_all() -> None:
    """Repair until a recount finds nothing, at most three times.

    A value of the wrong shape can hide another one.
    """
    for _ in range(3):
        drifts = list(recount.find_drifts())
        if not drifts:
            return
        for drift in drifts:
            recount.repair_counter(drift)
    assert list(recount.find_drifts()) == []
