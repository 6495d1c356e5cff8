"""Logging to standard error, one line an event. Never personal data: ids only."""

import logging

from config.settings import settings

QUIET_SECONDS = 60.0


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


def configure_logging() -> None:
    """Set the format and the level for this process."""
    logging.basicConfig(
        level=settings().log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )
    # Both tell the story of every request or task at INFO; ours is told elsewhere.
    logging.getLogger("huey").setLevel(logging.WARNING)
    for name in ("Worker", "Scheduler"):
        logging.getLogger(f"huey.consumer.{name}").addFilter(SayItOnce())
    logging.getLogger("httpx").setLevel(logging.WARNING)
