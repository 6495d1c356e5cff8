"""`matchback org export` and `matchback org delete`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.commands.connected import connected

if TYPE_CHECKING:
    from documents.organization import Organization

EXPORT_ACTION = "org export"


@click.command("export")
@click.argument("organization", metavar="NAME_OR_ID")
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="New folder for the files.",
)
@connected
def export_organization(organization: str, folder: Path) -> None:
    """Write everything that belongs to an organization into files of JSON lines.

    The files contain no secrets. The folder appears only when the export is complete.
    """
    from documents.access.audit import COMMAND_LINE_ACTOR, OpenAct
    from documents.organizations.export import export_organization as export
    from documents.organizations.lookup import find_organization

    found = find_organization(organization)
    act = OpenAct.begin(found.id, COMMAND_LINE_ACTOR, EXPORT_ACTION)
    is_done = False
    try:
        rows = export(found, folder.absolute(), _report)
        is_done = True
    except OSError as error:
        raise click.ClickException(f"The folder cannot be written: {error.strerror}.") from None
    finally:
        act.finish(0 if is_done else 1)
    click.echo(f"{rows} rows are in {folder}.")


def _report(file: str, rows: int) -> None:
    if rows:
        click.echo(f"{file}: {rows}")


@click.command("delete")
@click.argument("organization", metavar="NAME_OR_ID")
@click.option("--confirm", metavar="NAME", help="Name of the organization; skips the question.")
@connected
def delete_organization(organization: str, confirm: str | None) -> None:
    """Delete an organization with everything that belongs to it. This cannot be undone.

    Its keys, sessions and webhooks stop working at once. A worker deletes the rest in the
    background.
    """
    from documents.organizations.deletion_request import request_deletion
    from documents.organizations.lookup import find_organization, is_name_of

    found = find_organization(organization)
    typed = _ask(found) if confirm is None else confirm
    if not is_name_of(found, typed):
        raise click.ClickException("This is not the organization's name. Nothing was deleted.")
    since = request_deletion(found)
    click.echo(
        f"Organization {found.id} is in deletion since {since.isoformat(timespec='seconds')}. "
        "`matchback org list` shows it until a worker has deleted everything."
    )


def _ask(organization: "Organization") -> str:
    from documents.organizations.lookup import show_organization_name

    name = show_organization_name(organization.name)
    click.echo(f"This deletes the organization {organization.id} and all of its data: {name}")
    return str(click.prompt("Type its name to confirm"))
