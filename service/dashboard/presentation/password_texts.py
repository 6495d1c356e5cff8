"""The content of mails about a password, in the organization's language."""

from datetime import datetime

from service.dashboard.presentation.formats import Formats
from service.dashboard.presentation.language import marked
from service.dashboard.presentation.notice_texts import NoticeContent

FORGOTTEN_PATH = "/dashboard/password"
RESET_LINK_PATH = "/dashboard/password/new"
RESET_TITLE = marked("Choose a new password")
RESET_SUBJECT = marked("Choose a new password for Matchback")
RESET_WHAT = marked("Someone asked to reset the password of %(email)s.")
RESET_UNTIL = marked("The link works once, until %(time)s (%(zone)s). A later link replaces it.")
RESET_ACTION = marked(
    "Open the link and choose a new password. This ends all your sessions. Never pass the link on."
)
RESET_FOOTER = marked("If you did not ask for it, ignore this email. Your password stays as it is.")
CHANGED_TITLE = marked("Password changed")
CHANGED_SUBJECT = marked("Your password for Matchback was changed")
CHANGED_WHAT = marked("The password of %(email)s was changed, and all sessions ended.")
CHANGED_SINCE = marked("Time: %(time)s (%(zone)s)")
CHANGED_ACTION = marked(
    "If you did not change it, reset the password at once, and ask your Matchback operator for "
    "help."
)
CHANGED_LINK = marked("Reset the password")
CHANGED_FOOTER = marked("Matchback sends this email after each change of a password.")


def write_reset_mail(
    email: str, secret: str, until: datetime, formats: Formats, url: str
) -> NoticeContent:
    """Return the texts of the mail with the link.

    Args:
        url: base URL of the service.
    """
    said = formats.language.gettext
    return NoticeContent(
        language=formats.language,
        subject=said(RESET_SUBJECT),
        title=said(RESET_TITLE),
        what=said(RESET_WHAT) % {"email": email},
        since=said(RESET_UNTIL) % {"time": formats.moment(until), "zone": formats.zone.key},
        action=said(RESET_ACTION),
        link=(said(RESET_TITLE), f"{url.rstrip('/')}{RESET_LINK_PATH}?token={secret}"),
        footer=said(RESET_FOOTER),
    )


def write_change_mail(email: str, at: datetime, formats: Formats, url: str) -> NoticeContent:
    """Return the texts of the mail about a changed password.

    Args:
        url: base URL of the service.
    """
    said = formats.language.gettext
    return NoticeContent(
        language=formats.language,
        subject=said(CHANGED_SUBJECT),
        title=said(CHANGED_TITLE),
        what=said(CHANGED_WHAT) % {"email": email},
        since=said(CHANGED_SINCE) % {"time": formats.moment(at), "zone": formats.zone.key},
        action=said(CHANGED_ACTION),
        link=(said(CHANGED_LINK), f"{url.rstrip('/')}{FORGOTTEN_PATH}"),
        footer=said(CHANGED_FOOTER),
    )
