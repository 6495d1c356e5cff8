"""`matchback jobs` and `matchback recount`: commands for the person on call."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from service.commands.audit import audited
from service.commands.connected import connected, print_values
from service.commands.tables import json_array_option, json_lines_option, print_table

if TYPE_CHECKING:
    from documents.concurrency.lease import HeldLease
    from matchback.engine import Drift, Page


@click.group()
def jobs() -> None:
    """Manage failed jobs: records that workers could not process."""


@jobs.command("failed")
@click.option(
    "--limit", type=click.IntRange(1), default=100, help="Maximum number of jobs to list."
)
@json_array_option("one object per job")
@connected
def list_failed_jobs(limit: int, as_json: bool) -> None:
    """List failed jobs, newest records first."""
    from documents.settling.failed_job import FailedJob

    rows = [
        {"id": str(one.id), "job": one.job, "error": one.error, "tries": one.tries}
        for one in FailedJob.page(None, limit)
    ]
    print_table(["id", "job", "error"], rows, as_json)


@jobs.command("retry")
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Retry all failed jobs.")
@connected
@audited
def retry_failed_jobs(id_: str | None, everything: bool) -> None:
    """Retry one failed job, or all. Workers run them in the background."""
    from documents.settling.failed_job import FailedJob

    if (id_ is None) == (not everything):
        raise click.UsageError("Specify either an ID or --all.")
    if id_ is not None:
        FailedJob.fetch(None, id_).retry()
        return
    total = 0
    while found := FailedJob.page(None, limit=100):
        for failed in found:
            failed.retry()
        total += len(found)
    click.echo(f"Jobs to retry: {total}")


@click.command()
@click.option("--repair", is_flag=True, help="Repair incorrect counters.")
@click.option("--fundraiser", metavar="ID", help="Limit to this fundraiser's records.")
@json_lines_option("per incorrect counter")
@connected
@audited
def recount(repair: bool, fundraiser: str | None, as_json: bool) -> None:
    """Compare every counter with the records that it counts.

    The service stays available. The exit code is 1 if a counter is incorrect and was not repaired.
    """
    from bson import ObjectId

    from documents.recount import recount as recounting

    if fundraiser is not None and not ObjectId.is_valid(fundraiser):
        raise click.UsageError("--fundraiser must be an ID of 24 hex digits.")
    scope = ObjectId(fundraiser) if fundraiser else None
    off = 0
    with _lease_of(repair) as holding:
        for drift in _compared(
            recounting.compare_all_counters(scope), recounting.estimate_record_count(scope)
        ):
            if repair and not _repaired(holding, drift):
                continue
            off += 1
            _tell(drift, as_json)
    if not as_json:
        click.echo(f"{'Repaired' if repair else 'Incorrect'} counters: {off}")
    sys.exit(1 if off and not repair else 0)


@contextmanager
def _lease_of(repair: bool) -> Iterator["HeldLease | None"]:
    """Hold the repair lease if `repair` is true."""
    from documents.concurrency.lease import hold_lease

    if not repair:
        yield None
        return
    with hold_lease("repair") as holding:
        if holding is None:
            raise click.ClickException(
                "Another repair is running. Run this command again when it has finished."
            )
        yield holding


def _repaired(holding: "HeldLease | None", drift: "Drift") -> bool:
    """Repair a counter. Return False if another process or settling has corrected it."""
    from documents.recount import recount as recounting

    if holding is None or holding.is_lost():
        raise click.ClickException("Another repair has taken over. Run this command again.")
    return recounting.repair_counter(drift)


def _compared(pages: "Iterable[Page]", size: int) -> "Iterator[Drift]":
    """Return the incorrect counters of the pages. Show progress on a terminal."""
    with click.progressbar(
        length=size, label="comparing", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as progress:
        for page in pages:
            yield from page.drifts
            progress.update(page.size)


def _tell(drift: "Drift", as_json: bool) -> None:
    line = {"collection": drift.collection, "id": str(drift.id), "field": drift.field}
    says, right = str(drift.actual), str(drift.expected)
    text = f"{drift.collection} {drift.id} {drift.field}: stored {says}, expected {right}"
    print_values({**line, "says": says, "right": right}, text, as_json)
