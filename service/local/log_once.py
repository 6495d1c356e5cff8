"""A log for an action that can fail repeatedly: the first failure, and the next success."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from config.observability.outage import Outage


class FailureReporter:
    """Survives the failures of an act. Reports the first of them, and the next success."""

    def __init__(self, say: Callable[[str], None], act: str) -> None:
        self._outage = Outage(say, say)
        self._act = act

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Do the act within the block. OSError is reported and goes no further."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._outage.begin(f"{self._act} fails: {reason}. It is attempted until it succeeds.")
        else:
            self._outage.end(f"{self._act} succeeds again.")
