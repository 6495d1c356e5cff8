"""Hours from an email to a gift, in classes. Pure."""

from datetime import datetime, timedelta
from typing import Final

DELAY_HOURS: Final = (1, 2, 4, 8, 24, 48, 72, 168, 336, 720)  # upper limits of the classes
MORE_HOURS_KEY = "more"
BEFORE_EMAIL_KEY = "before"
DELAY_KEYS: Final = (BEFORE_EMAIL_KEY, *map(str, DELAY_HOURS), MORE_HOURS_KEY)


def find_delay_key(sent_at: datetime, donated_at: datetime) -> str:
    """Return the class of a gift's time after its email.

    It is the upper limit in hours, which is not part of the class. A gift can be before its email,
    because staff pinned it or a clock is incorrect.
    """
    delay = donated_at - sent_at
    if delay < timedelta(0):
        return BEFORE_EMAIL_KEY
    limits = (str(hours) for hours in DELAY_HOURS if delay < timedelta(hours=hours))
    return next(limits, MORE_HOURS_KEY)
