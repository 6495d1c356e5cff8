"""`matchback staff`: the people who can use the dashboard."""

from typing import TYPE_CHECKING

import click

from service.commands.audit import audited, name_audited_record
from service.commands.connected import connected
from service.commands.members import (
    ROLES,
    ask_password,
    find_member,
    membership_option,
    organization_option,
    print_sign_in_link,
)
from service.commands.staff_sessions import end_sessions, link, password, sessions
from service.commands.tables import json_array_option, print_table

if TYPE_CHECKING:
    from documents.access.roles import StaffRole


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

    chosen = ask_password() if password else None
    organization = Organization.named(organization_id)  # it may be deleted while the prompt waits
    added = Staff.add(organization.id, name or email, email, role, chosen)
    name_audited_record(organization.id, added.id)
    click.echo(f"{email} can sign in as {role}.")
    if not password:
        print_sign_in_link(added)


@staff.command("invite")
@click.argument("email")
@organization_option
@click.option("--name", help="Name to show in the dashboard.  [default: the email address]")
@click.option("--role", type=ROLES, default="viewer", help="Role of the person.")
@connected
@audited
def invite(email: str, organization_id: str, name: str | None, role: "StaffRole") -> None:
    """Invite a person, as an admin of the organization can.

    Matchback sends the invitation by mail. Without a mail server, the command prints a link to pass
    on. The link works once, within seven days.
    """
    from config.settings import get_settings
    from documents.access.staff import Staff
    from documents.mail.invitation import send_invitation
    from documents.organization import Organization
    from service.dashboard.sign_in_links import build_sign_in_link

    organization = Organization.named(organization_id)
    invited = Staff.add(organization.id, name or email, email, role)
    name_audited_record(organization.id, invited.id)
    secret = send_invitation(invited)
    if secret is None:
        click.echo(f"Invitation sent to {email}.")
        return
    link = build_sign_in_link(get_settings().url, secret)
    click.echo(f"Invitation, valid once within seven days: {link}")


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
    if not as_json:
        rows = [row | {"last_sign_in": row["last_sign_in"] or "never"} for row in rows]
    print_table(["email", "role", "name", "last_sign_in"], rows, as_json)


@staff.command("role")
@click.argument("email")
@click.argument("role", type=ROLES)
@membership_option
@connected
@audited
def role(email: str, role: str, organization_id: str | None) -> None:
    """Change a staff member's role. The last admin of an organization stays an admin."""
    from documents.access.members import change_role

    change_role(find_member(email, organization_id), role, counts_invited=True)
    click.echo(f"{email} is {role} now.")


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

    remove_staff(find_member(email, organization_id), counts_invited=True)
    click.echo(f"{email} removed.")


for command in (end_sessions, link, password, sessions):
    staff.add_command(command)
