"""The renderers of all kinds of mails, in one table."""

from documents.mail.invitation import INVITATION_MAIL_KIND
from documents.mail.password_mails import CHANGE_MAIL_KIND, RESET_MAIL_KIND
from documents.mail.renderers import Renderer, register_renderer
from documents.notices.watch import NOTICE_MAIL_KIND
from documents.reports.put_digests import DIGEST_MAIL_KIND
from service.mail.digest import render_digest
from service.mail.invitation import render_invitation
from service.mail.notice import render_notice
from service.mail.password import render_password_change, render_password_reset

RENDERERS: dict[str, Renderer] = {
    NOTICE_MAIL_KIND: render_notice,
    DIGEST_MAIL_KIND: render_digest,
    RESET_MAIL_KIND: render_password_reset,
    CHANGE_MAIL_KIND: render_password_change,
    INVITATION_MAIL_KIND: render_invitation,
}


def register_renderers() -> None:
    """Register every renderer. `matchback sender` calls this function before it starts."""
    for kind, renderer in RENDERERS.items():
        register_renderer(kind, renderer)
