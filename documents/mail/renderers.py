"""Renderers, which write the mails of each kind when they are sent.

The service registers them, because they need its translations and templates.
"""

from collections.abc import Callable
from email.message import EmailMessage

from documents.access.staff import Staff
from documents.mail.mail import Mail
from documents.organization import Organization

# Returns the subject and the content; None if there is nothing to send any more. It can set
# headers such as List-Unsubscribe. The sender sets From, To, Date and Message-ID.
Renderer = Callable[[Mail, Staff, Organization], EmailMessage | None]

_renderers: dict[str, Renderer] = {}


def register_renderer(kind: str, renderer: Renderer) -> None:
    """Let this renderer write the mails of a kind."""
    _renderers[kind] = renderer


def find_renderer(kind: str) -> Renderer | None:
    """Return the renderer of a kind; None if this version does not know the kind."""
    return _renderers.get(kind)
