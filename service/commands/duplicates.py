"""`matchback duplicates`: records that share a mailbox, for staff to decide about."""

import click

from service.commands.connected import connected
from service.commands.tables import json_array_option, print_table


@click.command()
@click.option("--organization", "organization_id", metavar="ID", help="Only this one's.")
@json_array_option("an object a record")
@connected
def duplicates(organization_id: str | None, as_json: bool) -> None:
    """List users and staff that share a mailbox with another record.

    Each is from before all spellings of an address were one person. The record under "kept" is
    found by the address, and the one under "id" is not. Delete one of the two; if "id" stays, set
    its email again.
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
