"""Fundraisers and mailings from before the journal: the migration notes when it begins."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.fundraiser import Fundraiser
from documents.history.journal import (
    FUNDRAISERS_JOURNAL_MIGRATION,
    MAILINGS_JOURNAL_MIGRATION,
    find_journal_start,
)
from documents.mailing import Mailing
from documents.migrations import migration as module
from documents.migrations.migration import run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.storage.record import build_record_row
from tests.integration.documents.migrations.layout import content
from tools.testbed.cast import Api, University, create_university
from tools.testbed.settled import settle_all

NUMBERS = MAILINGS_JOURNAL_MIGRATION, FUNDRAISERS_JOURNAL_MIGRATION
OURS = tuple(one for one in MIGRATIONS if one.number in NUMBERS)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def test_each_record_gets_its_start_page_by_page(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    springs = [alice.fundraiser() for _ in range(3)]
    mailing = alice.mailing(springs[0])
    for name in ("fundraisers", "mailings"):  # as the earlier version stored them
        get_db()[name].update_many({}, {"$unset": {"journal_from": ""}})
    assert find_journal_start(Fundraiser.objects.get(id=springs[0])) is None
    monkeypatch.setattr(module, "MIGRATED_ROWS_PER_PAGE", 1)
    pages: Any = run_migrations(OURS)
    for _ in range(3):
        next(pages)
    pages.close()  # the process stops
    alice.gift(springs[2])  # traffic continues
    settle_all()
    list(run_migrations(OURS))
    records = [*Fundraiser.objects, *Mailing.objects]
    assert len(records) == 4
    for record in records:
        start = find_journal_start(record)
        assert start is not None
        assert start > record.created_at
    assert find_journal_start(Mailing.objects.get(id=mailing)) <= min(
        one.journal_from for one in Fundraiser.objects
    )
    done = content()
    get_db().migrations.delete_many({"_id": {"$in": NUMBERS}})
    list(run_migrations(OURS))
    assert content() == done


def test_later_records_have_a_complete_journal(alice: University) -> None:
    list(run_migrations(OURS))
    spring = Fundraiser.objects.get(id=alice.fundraiser())
    assert find_journal_start(spring) == spring.journal_from == spring.created_at
    # A web process of the earlier version still created this one.
    row = build_record_row(Fundraiser, organization_id=ObjectId(alice.id), name="Autumn")
    get_db().fundraisers.insert_one(row)
    autumn = Fundraiser.objects.get(id=row["_id"])
    assert find_journal_start(autumn) == autumn.created_at
