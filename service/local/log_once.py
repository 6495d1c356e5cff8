"""A log for an action that can fail repeatedly: it shows the first failure and the recovery."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from config.observability.outage import Outage


class FailureReporter:
    """A guard that survives failures of an action.

    It reports the first failure and the recovery.
    """

    def __init__(self, say: Callable[[str], None], act: str) -> None:
        self._outage = Outage(say, say)
        self._act = act

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Run the block. Report OSError and suppress it."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._outage.begin(f"{self._act} fails: {reason}. Matchback will keep retrying.")
        else:
            self._outage.end(f"{self._act} succeeds again.")
