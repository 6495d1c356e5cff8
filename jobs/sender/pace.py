"""The pace of one endpoint: how many requests at once, and pauses while it fails. Pure.

The pauses of single deliveries are in `documents/outgoing/attempts.py`. This pause protects a
receiver that is down from a request per waiting event.
"""

import random

from documents.outgoing.attempts import Attempt

MAX_REQUESTS_AT_ONCE = 16
SLOW_SECONDS = 2.0
MAX_STRIKES = 3  # failed or slow requests in a row
FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 120.0
MAX_REQUESTED_PAUSE_SECONDS = 3600.0
PAUSE_JITTER = 1 / 3
LOCAL_PAUSE_SECONDS = 5.0


class Pace:
    """The pace of an endpoint, from the results of its requests.

    Times are seconds of a clock that the caller chooses.

    Args:
        is_failing: the endpoint failed before this process knew it.
    """

    def __init__(self, *, is_failing: bool = False) -> None:
        self.limit = 1
        self.paused_until = 0.0
        self._strikes = MAX_STRIKES if is_failing else 0
        self._failures = MAX_STRIKES if is_failing else 0

    @property
    def is_slow(self) -> bool:
        """True if requests use the lane of slow and failing endpoints."""
        return self._strikes >= MAX_STRIKES

    @property
    def is_failing(self) -> bool:
        """True if the last requests failed."""
        return self._failures >= MAX_STRIKES

    def is_paused(self, at: float) -> bool:
        """Return whether no request may begin at this time."""
        return at < self.paused_until

    def note(self, attempt: Attempt, at: float) -> None:
        """Note the result of a request."""
        if attempt.is_success:
            self._failures = 0
            is_slow = attempt.seconds > SLOW_SECONDS
            self._strikes = self._strikes + 1 if is_slow else 0
            if not is_slow:
                self.limit = min(self.limit + 1, MAX_REQUESTS_AT_ONCE)
            return
        if self.is_paused(at):
            return  # a request of the same burst has just failed
        self._failures = self._count(self._failures, attempt)
        self._strikes = self._count(self._strikes, attempt)
        self.limit = 1 if self.is_failing else max(1, self.limit // 2)
        pause = min(attempt.retry_after, MAX_REQUESTED_PAUSE_SECONDS)
        if self.is_failing:
            pause = max(pause, self._choose_pause())
        self.paused_until = at + pause

    @staticmethod
    def _count(before: int, attempt: Attempt) -> int:
        """Count a failure. A single time-out suffices, because it is expensive."""
        return max(before + 1, MAX_STRIKES if attempt.is_timeout else 0)

    def pause(self, at: float, seconds: float = LOCAL_PAUSE_SECONDS) -> None:
        """Pause for a reason that is not the receiver's fault."""
        self.paused_until = max(self.paused_until, at + seconds)

    def _choose_pause(self) -> float:
        growth = 2.0 ** min(self._failures - MAX_STRIKES, 20)
        longest = min(FIRST_PAUSE_SECONDS * growth, MAX_PAUSE_SECONDS)
        return longest * random.uniform(1 - PAUSE_JITTER, 1)  # noqa: S311
