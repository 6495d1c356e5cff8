"""An upgrade with webhook endpoints reports no record that it only stores in another form."""

from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db

from documents.migrations.indexes import update_indexes
from documents.migrations.upgrade import upgrade_database
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.storage.former_match import read_match
from documents.storage.marks import DUE_FILTER
from documents.values.time import now
from jobs.sweep import sweep_due_records
from tests.integration.documents.migrations.layout import load
from tools.testbed.settled import settle_all

pytestmark = pytest.mark.usefixtures("real_database")
LAYOUTS = [
    *("first_layout", "second_layout", "third_layout"),
    *("fourth_layout_gifts", "fourth_layout_people", "fourth_layout_events"),
]


def add_endpoint(organization_id: str) -> None:
    """Add an endpoint before the migrations end, as an admin can do during an upgrade."""
    row = {"organization_id": ObjectId(organization_id), "events": list(OUTGOING_EVENT_TYPES)}
    get_db().webhook_endpoints.insert_one({**row, "url": "https://crm.example.edu/"})


def read_states() -> dict[ObjectId, Any]:
    """Return what endpoints must know about each donation and email. Pinned gifts are links."""
    gifts = {
        row["_id"]: (
            row.get("email_id"),
            "link" if (match := read_match(row)) == "pinned" else match,
            row.get("refunded_amount", 0),
            row["status"],
            row.get("deleted_at"),
        )
        for row in get_db().donations.find()
    }
    emails = {
        row["_id"]: (bool(row.get("bounced_at")), bool(row.get("unsubscribed_at")))
        for row in get_db().emails.find()
    }
    return gifts | emails


def list_due() -> set[ObjectId]:
    names = ("donations", "emails")
    return {row["_id"] for name in names for row in get_db()[name].find(DUE_FILTER)}


def list_invented(before: dict[ObjectId, Any], due: set[ObjectId]) -> list[Any]:
    after = read_states()
    return [
        (row["type"], row["data"], before.get(row["record_id"]), after.get(row["record_id"]))
        for row in get_db().event_deliveries.find()
        if row["record_id"] not in due
        and before.get(row["record_id"]) == after.get(row["record_id"])
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_upgrade_reports_changes_only(layout: str) -> None:
    stored = load(f"{layout}.json")
    update_indexes()
    add_endpoint(stored["organization"])
    before, due = read_states(), list_due()
    list(upgrade_database())
    settle_all()
    assert list_invented(before, due) == []
    former = {"data.match": {"$in": ["direct", "indirect", "unresolved"]}}
    assert get_db().event_deliveries.find_one(former) is None


# The first version's unsubscribes do not count, and so are not known, until their migration.
@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_settling_before_the_migrations_reports_changes_only(layout: str) -> None:
    """Workers settle all records while the migrations have not begun."""
    stored = load(f"{layout}.json")
    update_indexes()
    add_endpoint(stored["organization"])
    before, due = read_states(), list_due()
    for name in ("donations", "emails"):
        get_db()[name].update_many({"trouble": None}, {"$set": {"due": now()}})
    while sweep_due_records():  # earlier counters are incorrect until their migration
        pass
    list(upgrade_database())
    settle_all()
    assert list_invented(before, due) == []
