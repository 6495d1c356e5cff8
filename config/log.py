"""Logging to standard error, one line an event. Never personal data: ids only."""

import logging
import re

from config.settings import settings

QUIET_SECONDS = 60.0
# What an exception says may repeat what it met, such as the value that a unique index refused.
ADDRESS = re.compile(r"[^\s\"'<>(){},;]+@[^\s\"'<>(){},;]+")


class SayItOnce(logging.Filter):
    """A queue that is away is a line a minute: Huey tells it at every try, at length."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Let what has an exception pass once a minute, without its traceback."""
        if record.exc_info is None:
            return True
        cause = record.exc_info[0].__name__ if record.exc_info[0] else "error"
        record.msg, record.args = f"{record.msg} ({cause})", record.args
        record.exc_info = None
        last = self._said.get(record.msg)
        if last is not None and record.created - last < QUIET_SECONDS:
            return False
        self._said[record.msg] = record.created
        return True


class WithoutAddresses(logging.Formatter):
    """The last resort: nothing that looks like an address leaves the process, tracebacks included.

    Passwords in URIs have the same form, and go the same way.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, and its traceback."""
        return ADDRESS.sub("(address)", super().format(record))


def configure_logging() -> None:
    """Set the format and the level for this process."""
    handler = logging.StreamHandler()
    handler.setFormatter(WithoutAddresses("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=settings().log_level.upper(), handlers=[handler], force=True)
    # Both tell the story of every request or task at INFO; ours is told elsewhere.
    logging.getLogger("huey").setLevel(logging.WARNING)
    for name in ("Worker", "Scheduler"):
        logging.getLogger(f"huey.consumer.{name}").addFilter(SayItOnce())
    logging.getLogger("httpx").setLevel(logging.WARNING)
