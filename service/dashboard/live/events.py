"""The server-sent events of a page, and the rule for repeating how far counting is behind.

Source: "Server-sent events" in the HTML standard.
"""

import random
from bisect import bisect_right

import orjson

# Random pauses spread the reconnections after a restart.
SOONEST_MILLISECONDS, LATEST_MILLISECONDS = 1000, 4000
# Seconds of lag. A page is notified when the lag reaches another step.
STEPS = (0, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


def event(name: str, **data: object) -> bytes:
    """Return an event with data as JSON."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


def hello(behind: int) -> bytes:
    """Return the first event, with the pause before a reconnection."""
    pause = random.randint(SOONEST_MILLISECONDS, LATEST_MILLISECONDS)  # noqa: S311
    return b"retry: %d\n" % pause + event("hello", behind_seconds=behind)


def step(behind: int) -> int:
    """Return the largest step that the lag has reached."""
    return STEPS[bisect_right(STEPS, behind) - 1]


AWAY, BACK, BEAT, BYE, CHANGED = map(event, ("away", "back", "beat", "bye", "changed"))
