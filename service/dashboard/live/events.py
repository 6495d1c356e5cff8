"""The server-sent events of a page, and the rule for repeating how far counting is behind.

Source: "Server-sent events" in the HTML standard.
"""

import random
from bisect import bisect_right

import orjson

# Everybody has another pause, so that a service that is back does not meet all of them at once.
SOONEST_MILLISECONDS, LATEST_MILLISECONDS = 1000, 4000
# Of seconds behind: a page is told when it gets from one step to another.
STEPS = (0, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


def event(name: str, **data: object) -> bytes:
    """An event with data as JSON."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


def hello(behind: int) -> bytes:
    """The first one, and how soon to come back when the connection is lost."""
    pause = random.randint(SOONEST_MILLISECONDS, LATEST_MILLISECONDS)  # noqa: S311
    return b"retry: %d\n" % pause + event("hello", behind_seconds=behind)


def step(behind: int) -> int:
    """The largest step that is reached."""
    return STEPS[bisect_right(STEPS, behind) - 1]


AWAY, BACK, BEAT, BYE, CHANGED = map(event, ("away", "back", "beat", "bye", "changed"))
