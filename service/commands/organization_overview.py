"""`matchback org list` and `matchback org show`."""

import json
from typing import Any

import click

from service.commands.connected import connected
from service.commands.tables import json_array_option, print_table

LIST_COLUMNS = ["id", "name", "created_at", "staff", "fundraisers", "deleting_at"]


@click.command("list")
@json_array_option("one object per organization")
@connected
def list_organizations(as_json: bool) -> None:
    """List organizations."""
    from documents.organizations import summary
    from documents.organizations.lookup import show_organization_name

    rows = summary.list_organizations()
    if not as_json:
        rows = [
            {
                **row,
                "name": show_organization_name(row["name"]),
                "deleting_at": row["deleting_at"] or "",
            }
            for row in rows
        ]
    print_table(LIST_COLUMNS, rows, as_json)


@click.command("show")
@click.argument("organization", metavar="NAME_OR_ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connected
def show_organization(organization: str, as_json: bool) -> None:
    """Show an organization's settings, staff, providers and counts, without secrets."""
    from documents.organizations.lookup import find_organization
    from documents.organizations.summary import describe_organization

    found = describe_organization(find_organization(organization))
    click.echo(json.dumps(found) if as_json else "\n".join(_list_lines(found)))


def _list_lines(found: dict[str, Any], indent: str = "") -> list[str]:
    """Return a line for each value. Nested values are indented."""
    from documents.organizations.lookup import show_organization_name

    lines = []
    for name, value in found.items():
        label = f"{indent}{name.replace('_', ' ')}:"
        if isinstance(value, dict):
            lines += [label, *_list_lines(value, indent + "  ")]
        elif value and isinstance(value, list) and isinstance(value[0], dict):
            people = (", ".join(str(one) for one in person.values() if one) for person in value)
            lines += [label, *(f"{indent}  {show_organization_name(one)}" for one in people)]
        else:
            text = ", ".join(value) if isinstance(value, list) else value
            lines.append(f"{label} {_show_value(text)}")
    return lines


def _show_value(value: Any) -> str:
    from documents.organizations.lookup import show_organization_name

    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value in (None, "") else show_organization_name(str(value))
