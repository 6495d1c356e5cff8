"""`matchback staff`: how people sign in: links, passwords and sessions."""

import click

from service.commands.audit import audited, name_audited_record
from service.commands.connected import connected
from service.commands.members import (
    ask_password,
    find_member,
    membership_option,
    print_sign_in_link,
)
from service.commands.tables import json_array_option, print_table


@click.command("link")
@click.argument("email")
@membership_option
@connected
@audited
def link(email: str, organization_id: str | None) -> None:
    """Print a sign-in link for a staff member.

    The link works once, within 15 minutes. Use it if the password is forgotten. It also opens an
    organization that requires single sign-on, if its provider is unavailable. The organization's
    audit has an entry for each link.
    """
    print_sign_in_link(find_member(email, organization_id))


@click.command("password")
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
    name_audited_record(found.organization_id, found.id)
    put_change_mail(found.give_password(ask_password()))
    click.echo(f"Password set for {email}.")


@click.command("sessions")
@click.argument("email")
@json_array_option("one object per session")
@connected
def sessions(email: str, as_json: bool) -> None:
    """List the browsers in which a staff member is signed in, in all organizations."""
    from documents.access.staff import Staff
    from documents.access.staff_session import StaffSession
    from documents.errors import NotFound

    member = Staff.known(email)
    if member is None:
        raise NotFound
    rows = [
        {
            "organization_id": str(one.organization_id),
            "began": one.created_at.isoformat(timespec="seconds"),
            "last_used": one.last_used_at.isoformat(timespec="seconds"),
            "expires": one.expires_at.isoformat(timespec="seconds"),
            "ways": sorted({grant.way for grant in one.grants}),
        }
        for one in StaffSession.of(member)
    ]
    print_table(["organization_id", "began", "last_used", "expires", "ways"], rows, as_json)


@click.command("end-sessions")
@click.argument("email")
@membership_option
@connected
@audited
def end_sessions(email: str, organization_id: str | None) -> None:
    """End a staff member's sessions in one organization."""
    from documents.access.members import end_member_sessions

    end_member_sessions(find_member(email, organization_id))
    click.echo(f"Sessions of {email} ended.")
