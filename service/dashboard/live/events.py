"""The server-sent events of a page, and the rule for repeating how far counting is behind.

Source: "Server-sent events" in the HTML standard.
"""

import random
from bisect import bisect_right

import orjson

# Random pauses spread the reconnections after a restart.
MIN_RECONNECT_MILLISECONDS, MAX_RECONNECT_MILLISECONDS = 1000, 4000
# Seconds of lag. A page is notified when the lag reaches another step.
BEHIND_STEPS_SECONDS = (0, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


def format_event(name: str, **data: object) -> bytes:
    """Return an event with data as JSON."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


def format_hello(behind: int) -> bytes:
    """Return the first event, with the pause before a reconnection."""
    pause = random.randint(MIN_RECONNECT_MILLISECONDS, MAX_RECONNECT_MILLISECONDS)  # noqa: S311
    return b"retry: %d\n" % pause + format_event("hello", behind_seconds=behind)


def find_behind_step(behind: int) -> int:
    """Return the largest step that the lag has reached."""
    return BEHIND_STEPS_SECONDS[bisect_right(BEHIND_STEPS_SECONDS, behind) - 1]


UNAVAILABLE_EVENT, AVAILABLE_EVENT, HEARTBEAT_EVENT, GOODBYE_EVENT, CHANGED_EVENT = map(
    format_event, ("away", "back", "beat", "bye", "changed")
)
