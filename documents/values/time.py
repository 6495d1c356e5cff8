"""Time as MongoDB stores it: UTC, in milliseconds."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time as MongoDB stores it."""
    return truncate_to_milliseconds(datetime.now(UTC))


def truncate_to_milliseconds(time: datetime) -> datetime:
    """Return the time as MongoDB stores it, cut to whole milliseconds."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
