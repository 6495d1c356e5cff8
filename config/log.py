"""Logging to standard error, one line an event. Never personal data: ids only."""

import logging

from config.settings import settings


def configure_logging() -> None:
    """Set the format and the level for this process."""
    logging.basicConfig(
        level=settings().log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )
    # Both tell the story of every request or task at INFO; ours is told elsewhere.
    logging.getLogger("huey").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
