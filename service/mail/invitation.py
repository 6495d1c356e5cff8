"""The mail of an invitation, in HTML and plain text."""

from email.message import EmailMessage

from config.settings import get_settings
from documents.access.staff import Staff
from documents.mail.invitation import make_mailed_link
from documents.mail.mail import Mail
from documents.mail.message import build_message
from documents.organization import Organization
from service.dashboard.presentation.invitation_texts import write_invitation
from service.dashboard.presentation.language import language_of
from service.dashboard.render import load_templates
from service.dashboard.sign_in_links import build_sign_in_link


def render_invitation(mail: Mail, staff: Staff, organization: Organization) -> EmailMessage | None:
    """Return the message; None if the person has signed in meanwhile."""
    if staff.last_sign_in_at is not None:
        return None
    url = build_sign_in_link(get_settings().url, make_mailed_link(staff))
    content = write_invitation(language_of(organization.locale), organization.name, staff.role, url)
    html = load_templates().get_template("mail/invitation.html").render(content=content)
    text = f"{content.title}\n\n{content.what}\n\n{content.label}: {url}\n\n{content.note}\n"
    return build_message(content.title, text, html)
