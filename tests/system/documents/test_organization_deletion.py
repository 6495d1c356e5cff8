"""A deletion whose worker is killed twice, with traffic, a warehouse and Redis."""

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
import redis
from bson import ObjectId
from mongoengine import get_db

from config.settings import get_settings
from documents.organization import Organization
from documents.organizations.deleting import list_deletions
from documents.organizations.deletion_request import request_deletion
from documents.storage import export_outbox
from documents.storage.export_state import WarehouseState
from service.local.command import build_matchback_command
from service.local.supervisor import Part
from tests.integration.documents.organizations.furnished import find_traces
from tools.testbed.cast import University, create_university, make_event
from tools.testbed.privacy import list_texts
from tools.testbed.stack import Servers, Stack, wait_until

AT = 1_790_000_000
MAX_RATE_KEY_SECONDS = 60
MAX_QUIET_READS, QUIET_READ_SECONDS = 10, 3.0
# Small batches and a short wait, so that the kills hit the deletion and the test is short.
WORKER_CODE = """
import sys
from datetime import timedelta
from documents.organizations import batches, deleting
deleting.QUIET_TIME = timedelta(seconds=4)
batches.DELETED_ROWS_PER_BATCH = batches.EMAILS_PER_BATCH = batches.ANCHORS_PER_BATCH = 2
batches.SCANNED_ROWS_PER_BATCH = 20
from jobs.worker import main
sys.exit(main())
"""


class DeletingStack(Stack):
    """A stack whose worker deletes in small batches."""

    def start_worker(self) -> None:
        command = [sys.executable, "-c", WORKER_CODE]
        log = self.folder / "worker.log"
        self.supervisor.start(Part("worker", command, log, self.environment))


@pytest.fixture
def deleting_stack(
    real_database: str,
    real_servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    """Start the service, a worker, and a DuckDB warehouse with its worker."""
    environment = {
        "MATCHBACK_WAREHOUSE_URL": f"duckdb:///{tmp_path / 'warehouse.duckdb'}",
        "MATCHBACK_WAREHOUSE_PERSONAL_DATA": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    made = DeletingStack(real_servers, real_database, tmp_path, environment=environment)
    try:
        with made.up() as stack:
            command = [*build_matchback_command(), "warehouse", "worker"]
            log = tmp_path / "warehouse.log"
            stack.supervisor.start(Part("warehouse", command, log, stack.environment))
            yield stack
    finally:
        get_settings.cache_clear()


def give(place: University, spring: str, mailing: str, number: int) -> None:
    person = {"name": f"Zora {number}", "email": f"zora{number}@{place.id}.example.edu"}
    email = place.email(spring, person, mailing_id=mailing)
    place.deliver([make_event(email, "open", AT + number), make_event(email, "delivered", AT)])
    place.gift(spring, 100 + number, person)


def is_exported() -> bool:
    return export_outbox.is_export_complete() and WarehouseState.current().is_filled


def has_deleted(rows: int) -> bool:
    """Return whether a deletion has removed this number of rows."""
    return get_db().organizations.find_one({"deletion.deleted": {"$gte": rows}}) is not None


def test_a_deletion_survives_kills_and_leaves_nothing(
    deleting_stack: Stack, tmp_path: Path
) -> None:
    stack = deleting_stack
    alice = create_university("Alice's Zebra University", stack.api())
    charlie = create_university("Charlie's University", stack.api())
    places = {}
    for place in (alice, charlie):
        place.set_webhook_key()
        spring = place.fundraiser()
        places[place.id] = spring, place.mailing(spring)
        for number in range(20):
            give(place, *places[place.id], number)
    wait_until(lambda: is_settled(charlie) and is_settled(alice), "settling")
    wait_until(is_exported, "the export")
    ids = list_own_ids(alice)
    before = read_quiet_rows(charlie)
    for number in range(20, 30):  # not settled yet
        give(alice, *places[alice.id], number)
    request_deletion(Organization.named(alice.id))
    wait_until(lambda: alice.call("GET", "/v1/fundraisers").status == 401, "the end of the key")
    late = make_event(ids["emails"][0], "open", AT)
    wait_until(lambda: alice.deliver([late]).status == 401, "the end of the webhook key")
    for kill_at in (10, 60):
        wait_until(partial(has_deleted, kill_at), "the deletion")
        stack.kill("worker")
        assert list_deletions() == [ObjectId(alice.id)]
        stack.start_worker()
    wait_until(lambda: not list_deletions(), "the end of the deletion", seconds=180)
    wait_until(is_exported, "the export of the deletion")
    after = read_rows(charlie)
    assert [name for name in after if after[name] != before[name]] == []
    traces = find_traces("zebra", f"@{alice.id}", *(one for some in ids.values() for one in some))
    assert [one for one in traces if one[0] not in {"audit", "open_acts"}] == []
    check_warehouse(tmp_path / "warehouse.duckdb", alice, charlie)
    check_redis(stack.servers.redis_url, alice, ids)


def is_settled(place: University) -> bool:
    due = {"organization_id": ObjectId(place.id), "due": {"$exists": True, "$ne": None}}
    names = ("emails", "donations", "deliveries", "mailings", "users")
    return not any(get_db()[name].find_one(due) for name in names)


def read_rows(place: University) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of an organization, by collection. Keys note when they are used."""
    own = {"organization_id": ObjectId(place.id)}
    return {
        name: list(get_db()[name].find(own).sort("_id", 1))
        for name in get_db().list_collection_names()
        if name not in {"api_keys", "audit", "open_acts"} and not name.startswith("system.")
    }


def read_quiet_rows(place: University) -> dict[str, list[dict[str, Any]]]:
    """Return the rows when no job changes them any more."""
    rows = read_rows(place)
    for _ in range(MAX_QUIET_READS):
        time.sleep(QUIET_READ_SECONDS)
        earlier, rows = rows, read_rows(place)
        if rows == earlier:
            break
    return rows


def list_own_ids(place: University) -> dict[str, list[str]]:
    own = {"organization_id": ObjectId(place.id)}
    names = ("api_keys", "fundraisers", "mailings", "emails", "users", "donations")
    found = {name: [str(row["_id"]) for row in get_db()[name].find(own)] for name in names}
    return {**found, "organizations": [place.id]}


def check_warehouse(file: Path, gone: University, other: University) -> None:
    """Check that only tombstones remain: IDs of rows, and nothing else."""
    with duckdb.connect(str(file), read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
        ).fetchall()
        for schema, table in tables:
            found = connection.execute(f'SELECT * FROM "{schema}"."{table}"')
            names = [one[0] for one in found.description]
            for values in found.fetchall():
                row = dict(zip(names, values, strict=True))
                row_id = row.pop("id", None)
                texts = " ".join(list_texts(row)).casefold()
                assert gone.id not in texts
                assert "zebra" not in texts
                if row_id == gone.id:
                    assert row["deleted"] is True
        (number,) = connection.execute(
            "SELECT count(*) FROM emails WHERE organization_id = ?", [other.id]
        ).fetchone() or (0,)
        assert number == 20


def check_redis(url: str, gone: University, ids: dict[str, list[str]]) -> None:
    """Check that Redis holds nothing of the organization, apart from counts that end soon."""
    wanted = [gone.id, "zebra", "zora", *ids["api_keys"], *ids["emails"], *ids["donations"]]
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            content = repr((key, read_value(client, key))).casefold()
            if any(word in content for word in wanted):
                assert 0 <= client.ttl(key) <= MAX_RATE_KEY_SECONDS, key


def read_value(client: Any, key: bytes) -> Any:
    """Return the value of a key: queues, schedules, counts. DUMP would compress it."""
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"hash":
            return client.hgetall(key)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1)
        case b"none":  # it expired meanwhile
            return None
    raise AssertionError(f"{key!r} has an unknown type")
