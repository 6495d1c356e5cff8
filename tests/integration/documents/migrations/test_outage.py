"""A migration waits for MongoDB, and resumes where it stopped."""

from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db
from pymongo.errors import AutoReconnect, OperationFailure

from documents.concurrency import batches
from documents.migrations import migration
from documents.migrations.migration import Migration, run_migrations
from tools.testbed.cast import Api, University, create_university


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    monkeypatch.setattr(migration, "DATABASE_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(batches, "SLOW_DATABASE_PATIENCE_SECONDS", 0.0)
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.mark.parametrize("error", [AutoReconnect(), OperationFailure("slow", 262)])
def test_a_migration_waits_while_mongodb_is_unavailable_or_slow(
    alice: University, error: Exception
) -> None:
    failures = [error] * 3

    def change(tx: Any, rows: list[Any]) -> None:
        if failures:
            raise failures.pop()

    said: list[str] = []
    step = Migration(9_000, "change nothing", "organizations", change)
    told = list(run_migrations((step,), said.append))
    assert told[-1].is_finished
    assert said == ["MongoDB is unavailable or slow. Waiting for it."]
    assert get_db().migrations.find_one({"_id": 9_000})["rows"] == 1


@pytest.mark.parametrize("error", [OperationFailure("denied", 13), ValueError()])
def test_a_migration_stops_at_a_lasting_error(alice: University, error: Exception) -> None:
    def change(tx: Any, rows: list[Any]) -> None:
        raise error

    step = Migration(9_001, "change nothing", "organizations", change)
    with pytest.raises(type(error)):
        list(run_migrations((step,)))
