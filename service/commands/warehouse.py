"""`matchback warehouse`: the reporting database, for analysts and for the person on call."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.commands.audit import audited
from service.commands.connected import connected, print_values
from service.commands.tables import (
    json_array_option,
    json_lines_option,
    print_array,
    print_query_result,
)

if TYPE_CHECKING:
    from rich.progress import Progress

    from jobs.warehouse.engine import Warehouse

BACKFILL_POLL_SECONDS = 0.5
LEASE_WAIT_SECONDS = 60.0
DIFFERENCE_EXIT_CODE = 1


@click.group()
def warehouse() -> None:
    """Manage the reporting database."""


@warehouse.command("worker")
def run_worker() -> None:
    """Run a worker that keeps the warehouse up to date. A second one can take over."""
    from jobs.warehouse.worker import main as work
    from service.commands.connected import explain_errors

    with explain_errors():
        _opened()
        sys.exit(work())


@warehouse.command()
@click.argument("query")
@json_lines_option("per row, without a limit")
@connected
def sql(query: str, as_json: bool) -> None:
    """Query the warehouse with SQL.

    Example: matchback warehouse sql "select type, count(*) from events group by type"
    """
    with _told(), _opened().query(query) as answer:
        print_query_result(answer.columns, answer.rows, as_json)


@warehouse.command()
@click.argument("table")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@connected
@audited
def parquet(table: str, file: Path) -> None:
    """Write a warehouse table to a Parquet file."""
    from jobs.warehouse.tables import TABLE_BY_NAME

    if table not in TABLE_BY_NAME:
        raise click.UsageError(f"TABLE must be one of {', '.join(TABLE_BY_NAME)}.")
    if not file.absolute().parent.is_dir():
        raise click.UsageError(f"Directory {file.parent} does not exist. Create it first.")
    with _told():
        click.echo(
            f"{_opened().write_parquet(TABLE_BY_NAME[table], file.absolute())} rows in {file}"
        )


@warehouse.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connected
def status(as_json: bool) -> None:
    """Show the lag of the warehouse and its last error."""
    from documents.storage import export_outbox
    from documents.storage.export_state import WarehouseState

    _opened()
    state, lag = WarehouseState.current(), export_outbox.measure_export_lag()
    values = {
        "lag_seconds": round(lag, 1),
        "filled": state.is_filled,
        "error": state.error,
        "backfill": [dict(one) for one in state.backfill],
    }
    told = [f"{lag:.1f} s behind" if lag else "up to date"]
    told += [] if state.is_filled else ["initial backfill in progress"]
    told += [f"export fails: {state.error}"] if state.error else []
    print_values(values, "; ".join(told), as_json)


@warehouse.command()
@json_array_option("one object per table")
@connected
@audited
def backfill(as_json: bool) -> None:
    """Copy all data to the warehouse again.

    The service stays available. The warehouse worker copies the data, even if you stop this
    command. The command shows progress.
    """
    from rich.console import Console
    from rich.progress import Progress

    from documents.storage.export_state import WarehouseState

    _opened()
    WarehouseState.request_refill()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        _watch_filling(progress)
    rows = [
        {"table": one["table"], "copied": one["copied"]}
        for one in WarehouseState.current().backfill
    ]
    if as_json:
        print_array(rows)
        return
    for row in rows:
        click.echo(f"{row['table']}: {row['copied']}")


@warehouse.command()
@json_lines_option("per difference")
@connected
def verify(as_json: bool) -> None:
    """Compare the warehouse with the database.

    The command compares sums of donations, emails and events. The exit code is 1 if a sum differs.
    To fix differences, run `matchback warehouse backfill`.
    """
    from dataclasses import asdict

    from documents.storage.export_state import WarehouseState
    from jobs.warehouse.verify import find_differences as compare

    opened, off = _opened(), 0
    with _told(), _exporting_paused():
        if not WarehouseState.current().is_filled:
            raise click.ClickException(
                "The initial backfill is in progress. Verify after it has finished."
            )
        for one in compare(opened):
            off += 1
            group = ", ".join(f"{name} {value}" for name, value in one.group.items())
            text = (
                f"{one.table}: {group}: {one.sum}: ledger {one.ledger}, warehouse {one.warehouse}"
            )
            print_values(asdict(one), text, as_json)
    if off:
        sys.exit(DIFFERENCE_EXIT_CODE)
    if not as_json:
        click.echo("All sums match.")


def _watch_filling(progress: "Progress") -> None:
    """Show the worker's progress until the backfill is complete."""
    from documents.storage.export_state import WarehouseState

    tasks: dict[str, Any] = {}
    while True:
        state = WarehouseState.current()
        for one in () if state.anew else state.backfill:
            name = one["table"]
            tasks.setdefault(name, progress.add_task(name) if name not in tasks else None)
            done = one["copied"] if not one["finished"] else one["total"]
            progress.update(tasks[name], total=one["total"] or 1, completed=done)
        if state.error:
            raise click.ClickException(f"{state.error} The backfill resumes when this is fixed.")
        if not state.anew and state.is_filled:
            return
        time.sleep(BACKFILL_POLL_SECONDS)


def _opened() -> "Warehouse":
    from config.settings import get_settings
    from jobs.warehouse.engine import WarehouseError, open_warehouse

    if not get_settings().warehouse_url:
        raise click.ClickException(
            "No warehouse is configured. Set MATCHBACK_WAREHOUSE_URL, for example to "
            "duckdb:///var/warehouse.duckdb."
        )
    try:
        return open_warehouse(get_settings().warehouse_url)
    except WarehouseError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _told() -> Iterator[None]:
    from jobs.warehouse.engine import WarehouseError

    try:
        yield
    except WarehouseError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _exporting_paused() -> Iterator[None]:
    """Hold the exporter's lease. The lease of a killed exporter expires before the time-out."""
    from documents.concurrency.lease import hold_lease
    from jobs.warehouse.exporter import EXPORT_LEASE

    deadline = time.monotonic() + LEASE_WAIT_SECONDS
    while time.monotonic() < deadline:
        with hold_lease(EXPORT_LEASE) as holding:
            if holding is not None:
                yield
                return
        time.sleep(BACKFILL_POLL_SECONDS / 5)
    raise click.ClickException("The export did not pause. Run this command again.")
