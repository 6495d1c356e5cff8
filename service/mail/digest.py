"""The mail of a digest: HTML and plain text, and the headers of one-click unsubscribe."""

from collections.abc import Iterator, Mapping
from email.headerregistry import HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import Policy
from typing import Any
from zoneinfo import ZoneInfo

from bson import ObjectId

from config.settings import get_settings
from documents.access.staff import Staff
from documents.digests.choice import DigestChoice
from documents.digests.unsubscribe_token import make_unsubscribe_token
from documents.fundraiser import Fundraiser
from documents.mail.mail import Mail
from documents.mail.message import build_message
from documents.mailing import Mailing
from documents.organization import Organization
from service.dashboard.presentation.digest_content import (
    DigestContent,
    DigestLine,
    DigestLinks,
    DigestSection,
)
from service.dashboard.presentation.digest_texts import DigestWriter
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of
from service.dashboard.render import load_templates

UNSUBSCRIBE_PATH = "/dashboard/digests/unsubscribe"


class UrlHeader(UnstructuredHeader):
    """A header with one URL. The library would encode a URL that does not fit on a line."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]


_headers = HeaderRegistry()
_headers.map_to_type("list-unsubscribe", UrlHeader)  # type: ignore[arg-type]  # typeshed wants the made class


def render_digest(mail: Mail, staff: Staff, organization: Organization) -> EmailMessage | None:
    """Return the message; None if the staff member no longer wants the digest."""
    fundraiser = Fundraiser.live(organization.id, id=mail.params["fundraiser_id"]).first()
    if fundraiser is None:
        return None
    choice = DigestChoice.find(staff.id, fundraiser.id)
    if choice is None or choice.frequency != mail.params["frequency"]:
        return None
    return build_digest_message(read_content(mail.params, staff.id, fundraiser, organization))


def read_content(
    params: Mapping[str, Any],
    staff_id: ObjectId,
    fundraiser: Fundraiser,
    organization: Organization,
) -> DigestContent:
    """Add names, texts and links to the figures of a mail."""
    ids = [one["id"] for one in params["mailings"]]
    mailings = Mailing.live(organization.id, id__in=ids).only("id", "name")
    return DigestWriter(
        params,
        fundraiser.name,
        organization.name,
        {one.id: one.name for one in mailings},
        formats_of(language_of(organization.locale), ZoneInfo(params["time_zone"])),
        build_links(staff_id, fundraiser.id),
    ).write()


def build_links(staff_id: ObjectId, fundraiser_id: ObjectId) -> DigestLinks:
    """Return the URLs in a digest."""
    dashboard = f"{get_settings().url.rstrip('/')}/dashboard"
    return DigestLinks(
        dashboard=dashboard,
        fundraiser=f"{dashboard}/fundraisers/{fundraiser_id}",
        gifts_without_email=f"{dashboard}/gifts?match=none&fundraiser={fundraiser_id}",
        choices=f"{dashboard}/account#digests-title",
        unsubscribe=build_unsubscribe_url(staff_id, fundraiser_id),
    )


def build_unsubscribe_url(staff_id: ObjectId, fundraiser_id: ObjectId) -> str:
    """Return the URL that ends a digest without sign-in."""
    token = make_unsubscribe_token(staff_id, fundraiser_id)
    return f"{get_settings().url.rstrip('/')}{UNSUBSCRIBE_PATH}/{token}"


def build_digest_message(content: DigestContent) -> EmailMessage:
    """Return the message, with the headers of RFC 8058."""
    text, html = format_digest_text(content), format_digest_html(content)
    message = build_message(content.subject, text, html)
    url = f"<{content.unsubscribe[1]}>"
    message["List-Unsubscribe"] = _headers("List-Unsubscribe", url)
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return message


def format_digest_html(content: DigestContent) -> str:
    """Return the digest as HTML."""
    return load_templates().get_template("mail/digest.html").render(content=content)


def format_digest_text(content: DigestContent) -> str:
    """Return the digest as plain text."""
    parts = [
        "\n".join([content.name, content.time, f"{content.kind} · {content.organization}"]),
        "\n".join(line for one in content.figures for line in _format_figure(one)),
        *content.notes,
        *("\n".join(_format_section(section)) for section in content.sections),
        _format_link(content.open),
        "-- \n" + "\n".join(content.footer),
        "\n".join(map(_format_link, (content.choices, content.unsubscribe))),
    ]
    return "\n\n".join(parts) + "\n"


def _format_figure(line: DigestLine) -> Iterator[str]:
    yield f"{line.label}: {line.value}"
    if line.note:
        yield f"  {line.note}"


def _format_section(section: DigestSection) -> Iterator[str]:
    yield section.title.upper()
    if section.note:
        yield section.note
    for line in section.lines:
        value = ", ".join(line.value.split("\n"))
        note = f" ({line.note})" if line.note else ""
        yield f"- {line.label}: {value}{note}"
        if line.url:
            yield f"  {line.url}"
    if section.link:
        yield _format_link(section.link)


def _format_link(link: tuple[str, str]) -> str:
    return f"{link[0]}: {link[1]}"
