"""The mail that invites a person. Its link is made when it is sent, so no row holds a secret."""

from bson import ObjectId

from documents.access.staff import Staff
from documents.access.staff_session import SignInLink
from documents.mail.mail import Mail

INVITATION_MAIL_KIND = "invitation"


def send_invitation(staff: Staff) -> str | None:
    """Store the mail that invites a member. Without a mail server, return a link's secret instead.

    The answer is the same whether the person belongs to other organizations. An admin passes the
    link on, so it opens only this organization.
    """
    is_mailed = Mail.put(
        f"{INVITATION_MAIL_KIND}:{staff.id}:{ObjectId()}",
        INVITATION_MAIL_KIND,
        organization_id=staff.organization_id,
        staff_id=staff.id,
    )
    return None if is_mailed else SignInLink.make_invitation(staff)


def make_mailed_link(staff: Staff) -> str:
    """Return the secret of a link for a mail to the member.

    The mail proves that the address belongs to the person. A person of other organizations may be
    known by another spelling of the address there. So for them, the link opens only this one.
    """
    if staff.has_other_memberships():
        return SignInLink.make_invitation(staff)
    return SignInLink.make_mailed(staff)
