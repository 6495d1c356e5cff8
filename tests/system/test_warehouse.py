"""The warehouse's worker as a separate process: a kill at any point loses and doubles nothing."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from config.settings import get_settings
from documents.storage import export_outbox
from documents.storage.export_state import WarehouseState
from jobs.warehouse.engine import open_warehouse
from service.local.command import build_matchback_command
from service.local.supervisor import Part
from tools.testbed.cast import University, create_university, make_event
from tools.testbed.stack import Servers, Stack, wait_until
from tools.testbed.warehouse_contents import compute_contents, read_contents

AT = 1_790_000_000


@pytest.fixture
def exporting_stack(
    real_database: str,
    real_servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    """Start the service, a worker, and a DuckDB warehouse without its worker."""
    url = f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
    monkeypatch.setenv("MATCHBACK_WAREHOUSE_URL", url)
    get_settings.cache_clear()
    environment = {"MATCHBACK_WAREHOUSE_URL": url}
    try:
        with Stack(real_servers, real_database, tmp_path, environment=environment).up() as stack:
            yield stack
    finally:
        get_settings.cache_clear()


def start_exporter(stack: Stack) -> None:
    command = [*build_matchback_command(), "warehouse", "worker"]
    log = stack.folder / "warehouse.log"
    stack.supervisor.start(Part("warehouse", command, log, stack.environment))


def run(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*build_matchback_command(), "warehouse", *arguments],
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def give(ann: University, spring: str, mailing: str, number: int) -> None:
    person = {"name": f"Person {number}", "email": f"person{number}@example.edu"}
    email = ann.email(spring, person, mailing_id=mailing)
    ann.deliver([make_event(email, "open", AT + number), make_event(email, "delivered", AT)])
    ann.gift(spring, 100 + number, person)


def caught_up() -> bool:
    return export_outbox.is_export_complete() and WarehouseState.current().is_filled


def test_a_repeatedly_killed_worker_exports_everything(exporting_stack: Stack) -> None:
    stack = exporting_stack
    ann = create_university("Ann's University", stack.api())
    ann.set_webhook_key()
    spring = ann.fundraiser()
    mailing = ann.mailing(spring)
    for number in range(36):
        if number % 12 == 0:
            start_exporter(stack)
        give(ann, spring, mailing, number)
        if number % 12 == 11:
            stack.kill("warehouse", signal.SIGKILL)
    assert run(stack, "sql", "select count(*) from donations").returncode in (0, 1)
    start_exporter(stack)
    wait_until(lambda: not ann.report(spring)["unsettled"]["donations"], "everything is settled")
    wait_until(caught_up, "the warehouse knows everything")
    warehouse = open_warehouse(stack.environment["MATCHBACK_WAREHOUSE_URL"])
    assert read_contents(warehouse) == compute_contents()

    verified = run(stack, "verify")
    assert (verified.returncode, verified.stdout) == (0, "All sums match.\n"), verified.stderr
    asked = run(stack, "sql", "select count(*) as gifts, sum(amount) as sum from donations")
    assert "gifts" in asked.stdout
    assert "36" in asked.stdout
    file = stack.folder / "donations.parquet"
    assert run(stack, "parquet", "donations", str(file)).returncode == 0
    with duckdb.connect() as reader:
        found = reader.execute("SELECT sum(amount) FROM read_parquet($1)", [str(file)]).fetchone()
    assert found == (sum(100 + number for number in range(36)),)

    # The status shows a change made behind the service, and filling again fixes it.
    with duckdb.connect(str(stack.folder / "warehouse.duckdb")) as vandal:
        vandal.execute("DELETE FROM donations_rows WHERE amount = 107")
    told = run(stack, "verify", "--json")
    assert told.returncode == 1
    line = next(one for one in map(json.loads, told.stdout.splitlines()) if one["sum"] == "amount")
    assert line["ledger"] - line["warehouse"] == 107
    filled = run(stack, "backfill")
    assert filled.returncode == 0, filled.stderr
    assert "donations: 36" in filled.stdout
    assert run(stack, "verify").returncode == 0
    assert "up to date" in run(stack, "status").stdout
    assert run(stack, "sql", "drop view donations").returncode == 1
