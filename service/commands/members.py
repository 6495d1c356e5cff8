"""Shared parts of the `matchback staff` commands: options, the member, passwords and links."""

from typing import TYPE_CHECKING

import click

from service.commands.audit import name_audited_record

if TYPE_CHECKING:
    from documents.access.staff import Staff

ROLES = click.Choice(["viewer", "editor", "admin"])
organization_option = click.option(
    "--organization", "organization_id", required=True, metavar="ID", help="ID of the organization."
)
membership_option = click.option(
    "--organization",
    "organization_id",
    metavar="ID",
    help="ID of the organization; required if the person belongs to several.",
)


def find_member(email: str, organization_id: str | None) -> "Staff":
    """Return the member, and let the audit of the organization name the member.

    Raises:
        NotFound: no member has this address.
        Conflict: the person belongs to several organizations, and none is given.
    """
    from documents.access.staff import Staff
    from documents.organization import Organization

    wanted = Organization.named(organization_id).id if organization_id else None
    found = Staff.named(email, wanted)
    name_audited_record(found.organization_id, found.id)
    return found


def ask_password() -> str:
    """Ask for a password, twice and hidden."""
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def print_sign_in_link(of: "Staff") -> None:
    """Print a link that signs a member in."""
    from config.settings import get_settings
    from documents.access.staff_session import SignInLink
    from service.dashboard.sign_in_links import build_sign_in_link

    link = build_sign_in_link(get_settings().url, SignInLink.make(of))
    click.echo(f"Sign-in link, valid once within 15 minutes: {link}")
