"""The mail of a notice, in HTML and plain text."""

from email.message import EmailMessage

from config.settings import get_settings
from documents.access.staff import Staff
from documents.mail.mail import Mail
from documents.mail.message import build_message
from documents.notices.facts import read_facts
from documents.notices.incident import Incident
from documents.organization import Organization
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of
from service.dashboard.presentation.notice_texts import NoticeContent, write_notice
from service.dashboard.render import load_templates


def render_notice(mail: Mail, staff: Staff, organization: Organization) -> EmailMessage | None:
    """Return the message; None if the problem has ended or the person is not an admin any more."""
    incident = Incident.objects(key=mail.params["incident"]).first()
    if incident is None or not incident.is_open or not staff.is_admin:
        return None
    facts = read_facts(incident)
    if incident.opened_at != mail.params["opened_at"] or facts is None:
        return None
    content = write_notice(
        facts,
        formats_of(language_of(organization.locale), organization.zone),
        organization.name,
        get_settings().url,
        is_reminder=mail.params["number"] > 1,
    )
    html = load_templates().get_template("mail/notice.html").render(content=content)
    return build_message(content.subject, format_notice_text(content), html)


def format_notice_text(content: NoticeContent) -> str:
    """Return the notice as plain text."""
    label, url = content.link
    paragraphs = [content.what, content.since, content.action, f"{label}: {url}"]
    return "\n\n".join([*paragraphs, f"-- \n{content.footer}"]) + "\n"
