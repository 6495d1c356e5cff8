"""Time as MongoDB stores it: UTC, in milliseconds."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, without the microseconds that a stored time would lose."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
