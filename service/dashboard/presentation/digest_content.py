"""The parts of a digest, in words. Its HTML and its plain text both show all of them."""

from dataclasses import dataclass
from typing import Any

from service.dashboard.presentation.language import Language


@dataclass(frozen=True)
class DigestLinks:
    """The URLs in a digest."""

    dashboard: str
    fundraiser: str
    gifts_without_email: str
    choices: str
    unsubscribe: str

    def get_mailing(self, id_: Any) -> str:
        """Return the URL of a mailing's page."""
        return f"{self.dashboard}/mailings/{id_}"


@dataclass(frozen=True)
class DigestLine:
    """A label with a value, an explanation, and a link of the label; each may be empty."""

    label: str
    value: str
    note: str = ""
    url: str = ""


@dataclass(frozen=True)
class DigestSection:
    """Lines below a heading, and a link to more."""

    title: str
    lines: list[DigestLine]
    note: str = ""
    link: tuple[str, str] | None = None  # text and URL


@dataclass(frozen=True)
class DigestContent:
    """All that a digest shows."""

    language: Language
    subject: str
    kind: str
    organization: str
    name: str
    time: str
    figures: list[DigestLine]
    sections: list[DigestSection]
    notes: list[str]
    open: tuple[str, str]
    footer: list[str]
    choices: tuple[str, str]
    unsubscribe: tuple[str, str]


def join_lines(name: str) -> str:
    """Return a name on one line, so that it cannot add lines to a mail or headers to it."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())
