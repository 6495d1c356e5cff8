"""Finished walks of the earlier version lose the ID of their last record."""

import pytest
from bson import ObjectId
from mongoengine import get_db

from documents.migrations.migration import run_migrations
from documents.migrations.positions import POSITIONS_MIGRATIONS
from documents.tracking.relabelling import Relabelling
from documents.tracking.rules import MachineClickRule
from documents.values.time import now

NUMBERS = [one.number for one in POSITIONS_MIGRATIONS]


@pytest.mark.usefixtures("real_database")
def test_finished_walks_lose_their_positions_and_others_keep_them() -> None:
    done, pending, email = ObjectId(), ObjectId(), ObjectId()
    rule = MachineClickRule()
    get_db().migrations.insert_many(
        [
            {"_id": 1, "name": "finished", "rows": 3, "finished_at": now(), "last_id": done},
            {"_id": 2, "name": "interrupted", "rows": 3, "last_id": pending},
        ]
    )
    relabelling = {"target": rule.fingerprint, "after": email, "changed": 0}
    get_db().relabellings.insert_one({"_id": "clicks", **relabelling})
    list(run_migrations(POSITIONS_MIGRATIONS))
    assert Relabelling.continue_with(rule).after == email  # it is not finished
    get_db().relabellings.update_one({"_id": "clicks"}, {"$set": {"rule": rule.fingerprint}})
    get_db().migrations.delete_many({"_id": {"$in": NUMBERS}})
    list(run_migrations(POSITIONS_MIGRATIONS))
    assert Relabelling.is_done(rule)
    assert "after" not in get_db().relabellings.find_one()
    positions = {row["_id"]: row.get("last_id") for row in get_db().migrations.find()}
    assert positions == {1: None, 2: pending, **dict.fromkeys(NUMBERS)}
