"""Repair of a stored counter that is not a number."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents import recount
from tests.cast import Api, university
from tests.settled import settle


@pytest.mark.parametrize("wrong", ["many", [1]])
def test_a_counter_that_is_not_a_number_is_repaired(
    real_client: testing.TestClient, wrong: Any
) -> None:
    alice = university("Alice's University", Api.in_process(real_client))
    spring = alice.fundraiser()
    email = alice.email(spring)
    alice.gift(spring, 100, email_id=email)
    settle()
    where = {"_id": ObjectId(spring)}
    before = get_db().fundraisers.find_one(where)
    assert before
    get_db().fundraisers.update_one(where, {"$set": {"donors": wrong, "raised": wrong}})
    assert any([*map(recount.repair, list(recount.recount()))])
    assert list(recount.recount()) == []
    after = get_db().fundraisers.find_one(where)
    assert after
    assert after["raised"] == before["raised"]
