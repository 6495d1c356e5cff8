"""`matchback migrate`: the online upgrade of a database from an earlier version."""

from typing import TYPE_CHECKING

import click

from service.commands.connected import connected
from service.commands.tables import json_array_option, print_table

if TYPE_CHECKING:
    from documents.migrations.migration import MigrationStatus


@click.command()
@click.option("--pending", "only_pending", is_flag=True, help="List pending migrations and exit.")
@json_array_option("one object per migration")
@connected
def migrate(only_pending: bool, as_json: bool) -> None:
    """Upgrade stored data and indexes to this version.

    Run this command after you have replaced the last process of the earlier version. It is safe
    while the service is in use. If it is interrupted, the next run resumes where it stopped.
    """
    from documents.errors import Conflict
    from documents.migrations.migration import list_pending
    from documents.migrations.steps import MIGRATIONS
    from documents.migrations.upgrade import upgrade_database

    if only_pending:
        rows = [{"number": one.number, "name": one.name} for one in list_pending(MIGRATIONS)]
        print_table(["number", "name"], rows, as_json)
        return
    done: dict[int, MigrationStatus] = {}
    try:
        for told in upgrade_database(lambda text: click.echo(text, err=True)):
            done[told.migration.number] = told
            if not as_json:
                _say(told)
    except Conflict as error:
        raise click.ClickException(str(error)) from None
    rows = [
        {"number": number, "name": told.migration.name, "rows": told.rows}
        for number, told in done.items()
    ]
    if as_json:
        print_table(["number", "name", "rows"], rows, as_json)
        return
    if not rows:
        click.echo("Nothing to migrate.")
    _report_duplicates()


def _report_duplicates() -> None:
    from documents.people.duplicate import list_duplicates

    if count := sum(1 for _ in list_duplicates()):
        records, share = ("record", "shares") if count == 1 else ("records", "share")
        click.echo(
            f"{count} {records} {share} a mailbox with another and cannot be found by address. "
            "List them with `matchback duplicates`."
        )


def _say(told: "MigrationStatus") -> None:
    """Print progress on a line that the next call overwrites until the migration is finished."""
    line = f"{told.migration.number}. {told.migration.name}: {told.rows:,} of about {told.of:,}"
    click.echo(f"\r{line}", nl=told.is_finished)
