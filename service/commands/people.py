"""`matchback erase`: the erasure of a person."""

import time

import click

from service.commands.audit import audited
from service.commands.connected import connected


@click.command()
@click.argument("user_id")
@click.option(
    "--organization", "organization_id", required=True, metavar="ID", help="ID of the organization."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@connected
@audited
def erase(user_id: str, organization_id: str, yes: bool) -> None:
    """Erase a person's name, email address and raw events. Amounts and counts stay.

    You cannot undo this. The command waits until all personal data is erased.
    """
    from documents.organization import Organization
    from documents.privacy import erasure
    from documents.user import User

    organization = Organization.named(organization_id)
    if not yes:
        click.confirm(f"Erase user {user_id} permanently?", abort=True)
    erasure.request_erasure(organization.id, user_id)
    user = User.objects(id=user_id).first()
    while not erasure.erase_user(user.id):
        click.echo("Waiting for workers to process webhook deliveries", err=True)
        time.sleep(1)
    click.echo(f"User {user_id} erased")
