"""`matchback staff`: the people who can use the dashboard."""

from typing import TYPE_CHECKING

import click

from service.commands.audit import audited
from service.commands.connected import connected
from service.commands.tables import json_array_option, print_table

if TYPE_CHECKING:
    from documents.access.staff import Staff

organization_option = click.option(
    "--organization", "organization_id", required=True, metavar="ID", help="ID of the organization."
)


@click.group()
def staff() -> None:
    """Manage staff accounts for the dashboard."""


@staff.command("add")
@click.argument("email")
@organization_option
@click.option("--name", help="Name to show in the dashboard.  [default: the email address]")
@click.option(
    "--role",
    type=click.Choice(["viewer", "admin"]),
    default="viewer",
    help="Admins can also pin matches, retry jobs, and manage keys and policies.",
)
@click.option(
    "--password", is_flag=True, help="Ask for a password instead of printing a sign-in link."
)
@connected
@audited
def add(email: str, organization_id: str, name: str | None, role: str, password: bool) -> None:
    """Add a staff member.

    Without --password, the command prints a sign-in link for choosing a password.
    """
    from documents.access.staff import Staff
    from documents.organization import Organization

    organization = Organization.named(organization_id)
    chosen = _ask() if password else None
    added = Staff.add(organization.id, name or email, email, role, chosen)
    click.echo(f"{email} can sign in as {role}.")
    if not password:
        _print_link(added)


@staff.command("list")
@organization_option
@json_array_option("one object per staff member")
@connected
def list_staff(organization_id: str, as_json: bool) -> None:
    """List staff members."""
    from documents.access.staff import Staff
    from documents.organization import Organization

    people = Staff.live(Organization.named(organization_id).id).order_by("id")
    rows = [
        {"id": str(one.id), "email": one.email, "name": one.name, "role": one.role}
        for one in people
    ]
    print_table(["email", "role", "name"], rows, as_json)


@staff.command("link")
@click.argument("email")
@connected
@audited
def link(email: str) -> None:
    """Print a sign-in link for a staff member.

    The link works once, within 15 minutes. Use it if the password is forgotten.
    """
    from documents.access.staff import Staff

    _print_link(Staff.named(email))


@staff.command("password")
@click.argument("email")
@connected
@audited
def password(email: str) -> None:
    """Set a staff member's password and end their sessions."""
    from documents.access.staff import Staff

    Staff.named(email).set_password(_ask())
    click.echo(f"Password set for {email}.")


@staff.command("remove")
@click.argument("email")
@connected
@audited
def remove(email: str) -> None:
    """Remove a staff member and end their sessions."""
    from documents.access.staff import Staff
    from documents.removal import remove_staff

    remove_staff(Staff.named(email))
    click.echo(f"{email} removed.")


def _ask() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _print_link(of: "Staff") -> None:
    from config.settings import get_settings
    from documents.access.staff_session import SignInLink
    from service.dashboard.sign_in_links import build_sign_in_link

    link = build_sign_in_link(get_settings().url, SignInLink.make(of))
    click.echo(f"Sign-in link, valid once within 15 minutes: {link}")
