"""A kind of mail for tests."""

from email.message import EmailMessage

from documents.access.staff import Staff
from documents.mail.mail import Mail
from documents.mail.message import build_message
from documents.organization import Organization

GREETING_KIND = "greeting"


def render_greeting(mail: Mail, staff: Staff, organization: Organization) -> EmailMessage | None:
    if mail.params.get("over"):
        return None
    if mail.params.get("bug"):
        raise KeyError("bug")
    return build_message(f"Hello {staff.name}", f"From {organization.name}\n.\nEnd")


def put_greeting(staff: Staff, key: str = "greeting:1", **params: bool) -> bool:
    return Mail.put(
        key,
        GREETING_KIND,
        organization_id=staff.organization_id,
        staff_id=staff.id,
        params=params,
    )
