"""Mails about passwords: the link to reset one, and the notice of a change.

A request for a link costs the same whether anyone has the address: the same queries, and one stored
mail. If no one has it, the mail names an organization that does not exist, and the sender deletes
it. The sender makes the link when it writes the mail, so no row has its secret.
"""

from bson import ObjectId

from documents.access.password_reset import find_password_member
from documents.access.staff import Staff
from documents.mail.mail import Mail
from documents.values.address import pseudonymize_address
from documents.values.time import now

RESET_MAIL_KIND = "password_reset"
CHANGE_MAIL_KIND = "password_change"
# A person gets at most one link in each period, even if others ask for it.
RESET_PERIOD_SECONDS = 300
OF_PERSON = {"is_for_person": True}


def request_password_reset(email: str) -> None:
    """Store the mail with a link, if a person has this address and may use a password."""
    member = find_password_member(Staff.list_known(email))
    nobody = ObjectId(pseudonymize_address(email))  # so that a repeated request changes nothing
    period = int(now().timestamp()) // RESET_PERIOD_SECONDS
    Mail.put(
        f"password-reset:{member.person.id if member else nobody}:{period}",
        RESET_MAIL_KIND,
        organization_id=member.organization_id if member else nobody,
        staff_id=member.id if member else nobody,
        params=OF_PERSON,
    )


def put_change_mail(staff: Staff) -> None:
    """Store the mail that reports a changed password to its owner.

    A password for some organizations increases the epochs of their members only.
    """
    epochs = f"{staff.person.epoch}:{staff.id}:{staff.epoch}"
    Mail.put(
        f"password-change:{staff.person.id}:{epochs}",
        CHANGE_MAIL_KIND,
        organization_id=staff.organization_id,
        staff_id=staff.id,
        params=OF_PERSON,
    )
