"""The renderers of all kinds of mails, in one table."""

from documents.mail.renderers import Renderer, register_renderer

RENDERERS: dict[str, Renderer] = {}


def register_renderers() -> None:
    """Register every renderer. `matchback sender` calls this function before it starts."""
    for kind, renderer in RENDERERS.items():
        register_renderer(kind, renderer)
