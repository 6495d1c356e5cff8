"""`matchback erase`: the erasure of a person."""

import time

import click

from service.commands.audit import audited
from service.commands.connected import connected


@click.command()
@click.argument("user_id")
@click.option("--organization", "organization_id", required=True, metavar="ID", help="Whose user.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
@audited
def erase(user_id: str, organization_id: str, yes: bool) -> None:
    """Take a person's name, address and raw events away everywhere; amounts and counts stay.

    There is no way back. It waits until every trace is gone.
    """
    from documents.organization import Organization
    from documents.privacy import erasure
    from documents.user import User

    organization = Organization.named(organization_id)
    if not yes:
        click.confirm(f"Erase user {user_id} for ever?", abort=True)
    erasure.request_erasure(organization.id, user_id)
    user = User.objects(id=user_id).first()
    while not erasure.erase_user(user.id):
        click.echo("Some posts are not tallied yet; waiting for the workers", err=True)
        time.sleep(1)
    click.echo(f"User {user_id} is erased")
