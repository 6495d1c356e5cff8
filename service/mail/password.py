"""The mails about a password: the link to reset it, and the notice of its change."""

from email.message import EmailMessage

from config.settings import get_settings
from documents.access.password_reset import may_use_password
from documents.access.reset_link import RESET_LINK_LIFETIME, PasswordResetLink
from documents.access.staff import Staff
from documents.mail.mail import Mail
from documents.mail.message import build_message
from documents.organization import Organization
from documents.values.time import now
from service.dashboard.presentation.formats import Formats, formats_of
from service.dashboard.presentation.language import language_of
from service.dashboard.presentation.notice_texts import NoticeContent
from service.dashboard.presentation.password_texts import write_change_mail, write_reset_mail
from service.dashboard.render import load_templates
from service.mail.notice import format_notice_text


def render_password_reset(
    mail: Mail, staff: Staff, organization: Organization
) -> EmailMessage | None:
    """Return the message with a new link; None if it would not work any more."""
    until = mail.created_at + RESET_LINK_LIFETIME
    if now() >= until or not may_use_password([staff]):
        return None
    secret = PasswordResetLink.make(staff, mail.created_at)
    email, formats = staff.person.email, _formats_of(organization)
    return _build(write_reset_mail(email, secret, until, formats, get_settings().url))


def render_password_change(
    mail: Mail, staff: Staff, organization: Organization
) -> EmailMessage | None:
    """Return the message that reports a changed password."""
    formats, url = _formats_of(organization), get_settings().url
    return _build(write_change_mail(staff.person.email, mail.created_at, formats, url))


def _formats_of(organization: Organization) -> Formats:
    return formats_of(language_of(organization.locale), organization.zone)


def _build(content: NoticeContent) -> EmailMessage:
    html = load_templates().get_template("mail/notice.html").render(content=content)
    return build_message(content.subject, format_notice_text(content), html)
