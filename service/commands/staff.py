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

membership_option = click.option(
    "--organization",
    "organization_id",
    metavar="ID",
    help="ID of the organization; required if the person belongs to several.",
)
ROLES = click.Choice(["viewer", "editor", "admin"])


@click.group()
def staff() -> None:
    """Manage staff accounts for the dashboard."""


@staff.command("add")
@click.argument("email")
@organization_option
@click.option("--name", help="Name to show in the dashboard.  [default: the email address]")
@click.option(
    "--role",
    type=ROLES,
    default="viewer",
    help="Editors can also change gifts and import records. Admins can also manage settings.",
)
@click.option(
    "--password", is_flag=True, help="Ask for a password instead of printing a sign-in link."
)
@connected
@audited
def add(email: str, organization_id: str, name: str | None, role: str, password: bool) -> None:
    """Add a staff member, who may belong to other organizations already.

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
        {
            "id": str(one.id),
            "email": one.email,
            "name": one.name,
            "role": one.role,
            "last_sign_in": one.last_sign_in_at.isoformat(timespec="seconds")
            if one.last_sign_in_at
            else None,
        }
        for one in people
    ]
    print_table(["email", "role", "name", "last_sign_in"], rows, as_json)


@staff.command("link")
@click.argument("email")
@membership_option
@connected
@audited
def link(email: str, organization_id: str | None) -> None:
    """Print a sign-in link for a staff member.

    The link works once, within 15 minutes. Use it if the password is forgotten.
    """
    _print_link(_find(email, organization_id))


@staff.command("password")
@click.argument("email")
@connected
@audited
def password(email: str) -> None:
    """Set a staff member's password and end their sessions in all organizations."""
    from documents.access.staff import Staff
    from documents.errors import NotFound
    from documents.mail.password_mails import put_change_mail

    found = Staff.known(email)
    if found is None:
        raise NotFound
    put_change_mail(found.set_password(_ask()))
    click.echo(f"Password set for {email}.")


@staff.command("role")
@click.argument("email")
@click.argument("role", type=ROLES)
@membership_option
@connected
@audited
def role(email: str, role: str, organization_id: str | None) -> None:
    """Change a staff member's role. The last admin of an organization stays an admin."""
    from documents.access.members import change_role

    change_role(_find(email, organization_id), role)
    click.echo(f"{email} is {role} now.")


@staff.command("end-sessions")
@click.argument("email")
@membership_option
@connected
@audited
def end_sessions(email: str, organization_id: str | None) -> None:
    """End a staff member's sessions in one organization."""
    from documents.access.members import end_member_sessions

    end_member_sessions(_find(email, organization_id))
    click.echo(f"Sessions of {email} ended.")


@staff.command("remove")
@click.argument("email")
@membership_option
@connected
@audited
def remove(email: str, organization_id: str | None) -> None:
    """Remove a staff member from an organization and end their sessions there.

    The last admin of an organization stays.
    """
    from documents.removal import remove_staff

    remove_staff(_find(email, organization_id))
    click.echo(f"{email} removed.")


def _find(email: str, organization_id: str | None) -> "Staff":
    from documents.access.staff import Staff
    from documents.organization import Organization

    return Staff.named(email, Organization.named(organization_id).id if organization_id else None)


def _ask() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _print_link(of: "Staff") -> None:
    from config.settings import get_settings
    from documents.access.staff_session import SignInLink
    from service.dashboard.sign_in_links import build_sign_in_link

    link = build_sign_in_link(get_settings().url, SignInLink.make(of))
    click.echo(f"Sign-in link, valid once within 15 minutes: {link}")
