"""The content of an invitation, in the organization's language."""

from dataclasses import dataclass

from service.dashboard.presentation.language import Language, marked
from service.dashboard.presentation.wording import ROLE_LABELS

TITLE = marked("Invitation to %(organization)s")
WHAT = marked(
    "%(organization)s gives you access to its dashboard of gifts and emails. Your role: %(role)s."
)
LABEL = marked("Accept the invitation")
NOTE = marked(
    "The link works once, within 7 days. If you did not expect this mail, you can ignore it."
)


@dataclass(frozen=True)
class InvitationContent:
    """The content of the mail."""

    language: Language
    title: str
    what: str
    label: str
    url: str
    note: str


def write_invitation(
    language: Language, organization: str, role: str, url: str
) -> InvitationContent:
    """Return the content."""
    said = language.gettext
    values = {"organization": organization, "role": said(ROLE_LABELS[role])}
    return InvitationContent(
        language, said(TITLE) % values, said(WHAT) % values, said(LABEL), url, said(NOTE)
    )
