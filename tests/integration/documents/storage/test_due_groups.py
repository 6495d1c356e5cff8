"""The sweep finds the groups with due records by one index, and skips through it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import mongoengine
import pytest
from bson import ObjectId
from mongoengine import get_db

from config import database
from documents.concurrency.retries import exclude_postponed
from documents.storage import due_groups
from documents.values.time import now
from tools.testbed.commands import CommandRecorder, read_command_name

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
ORGANIZATION = ObjectId()
FUNDRAISERS = [ObjectId() for _ in range(1_000)]
BUSY, MANY = ObjectId(), 25_000


def due_row(fundraiser_id: ObjectId, seconds: float, **more: Any) -> dict[str, Any]:
    due = SINCE + timedelta(seconds=seconds)
    return {
        "organization_id": ORGANIZATION,
        "fundraiser_id": fundraiser_id,
        "due": due,
        **more,
    }


@pytest.fixture
def commands(real_database: str) -> Iterator[CommandRecorder]:
    mongoengine.disconnect_all()
    listener = CommandRecorder()
    database.connect_database(event_listeners=[listener])
    yield listener
    get_db().donations.delete_many({})


def store(rows: list[dict[str, Any]]) -> None:
    get_db().donations.insert_many(
        [{**row, "external_id": str(number)} for number, row in enumerate(rows)], ordered=False
    )


def test_a_busy_fundraiser_does_not_make_the_search_slow(commands: CommandRecorder) -> None:
    """A thousand fundraisers have due gifts, and one of them has many more."""
    rows = [due_row(of, 60 - number / 1_000) for number, of in enumerate(FUNDRAISERS)]
    store([*rows, *(due_row(BUSY, 100 + number / 1_000) for number in range(MANY))])
    commands.sent.clear()
    found = due_groups.list_groups_by_age("donations", now())
    assert found == [*reversed(FUNDRAISERS), BUSY]
    finds = [one for one in commands.sent if read_command_name(one) == "find"]
    assert len(finds) < 100
    keys = documents = 0
    for one in finds:
        asked = {name: one[name] for name in ("find", "filter", "sort", "limit", "hint")}
        seen = get_db().command("explain", asked, verbosity="executionStats")["executionStats"]
        keys += seen["totalKeysExamined"]
        documents += seen["totalDocsExamined"]
    assert keys < 4 * len(FUNDRAISERS)
    assert documents < 4 * len(FUNDRAISERS)


def test_every_group_has_its_oldest_record(commands: CommandRecorder) -> None:
    """Groups of every size follow each other."""
    sizes = [1, 1, 30, 2, 9, 8, 7, 1, 100, 1, 1, 1, 1, 1, 1, 1, 1, 1, 17, 64, 3]
    groups = sorted(FUNDRAISERS[: len(sizes)])
    store(
        [
            due_row(of, 1_000 * number + extra)
            for number, (of, size) in enumerate(zip(groups, sizes, strict=True))
            for extra in reversed(range(size))
        ]
    )
    found = {row["fundraiser_id"]: row["due"] for row in due_groups.iterate_oldest("donations")}
    due = [SINCE + timedelta(seconds=1_000 * number) for number in range(len(sizes))]
    assert found == dict(zip(groups, due, strict=True))
    assert due_groups.list_groups_by_age("donations", due[2]) == groups[:3]


def test_postponed_records_do_not_count(commands: CommandRecorder) -> None:
    early, late, waiting = FUNDRAISERS[:3]
    postponed = {"trouble": {"tries": 1, "error": "", "retry_at": now() + timedelta(hours=1)}}
    rows = [due_row(early, 5), due_row(late, 1, **postponed), due_row(late, 9)]
    store([*rows, due_row(waiting, 2, **postponed)])
    found = due_groups.list_groups_by_age("donations", now(), **exclude_postponed(now()))
    assert found == [early, late]


def test_another_organizations_records_do_not_count(commands: CommandRecorder) -> None:
    other = ObjectId()
    owners = {BUSY: ORGANIZATION, FUNDRAISERS[0]: other}
    get_db().fundraisers.insert_many(
        [{"_id": id_, "organization_id": owner} for id_, owner in owners.items()]
    )
    store([due_row(BUSY, 5), {**due_row(FUNDRAISERS[0], 1), "organization_id": other}])
    oldest = due_groups.find_oldest("donations", ORGANIZATION)
    assert oldest is not None
    assert oldest["fundraiser_id"] == BUSY
    oldest = due_groups.find_oldest("donations")
    assert oldest is not None
    assert oldest["fundraiser_id"] == FUNDRAISERS[0]
    assert due_groups.find_oldest("donations", ObjectId()) is None
    assert due_groups.count_due("donations") == 2
    assert due_groups.count_due("donations", organization_id=other) == 1
