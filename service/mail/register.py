"""The renderers of all kinds of mails, in one table."""

from documents.mail.renderers import Renderer, register_renderer
from documents.reports.put_digests import DIGEST_MAIL_KIND
from service.mail.digest import write_digest

RENDERERS: dict[str, Renderer] = {DIGEST_MAIL_KIND: write_digest}


def register_renderers() -> None:
    """Register every renderer. `matchback sender` calls this function before it starts."""
    for kind, renderer in RENDERERS.items():
        register_renderer(kind, renderer)
