"""`matchback duplicates`: records that share a mailbox, so that staff can choose one."""

import click

from service.commands.connected import connected
from service.commands.tables import json_array_option, print_table


@click.command()
@click.option("--organization", "organization_id", metavar="ID", help="Limit to this organization.")
@json_array_option("one object per record")
@connected
def duplicates(organization_id: str | None, as_json: bool) -> None:
    """List users and staff members that share a mailbox.

    Earlier versions stored different spellings of an address as different people. Matchback finds
    the record under "kept" by the address, but not the record under "id". Delete one of the two. If
    you keep "id", set its email address again.
    """
    from documents.organization import Organization
    from documents.people.duplicate import list_duplicates

    scope = Organization.named(organization_id).id if organization_id else None
    rows = [
        {
            "kind": pair.collection,
            "id": str(pair.id),
            "email": pair.email,
            "kept": str(pair.kept_id),
            "organization": str(pair.organization_id),
        }
        for pair in list_duplicates(scope)
    ]
    print_table(["kind", "id", "email", "kept", "organization"], rows, as_json)
