"""Two log lines per outage: one for the first failure, one for the recovery."""

from collections.abc import Callable
from threading import Lock


class Outage:
    """The state of a dependency that can be unavailable, such as Redis. Thread-safe.

    Args:
        warn: reports the first failure.
        inform: reports the recovery.
    """

    def __init__(self, warn: Callable[[str], object], inform: Callable[[str], object]) -> None:
        self._warn = warn
        self._inform = inform
        self._guard = Lock()
        self.is_on = False

    def begin(self, line: str) -> None:
        """Note a failure, and report it if the last attempt succeeded."""
        if self._change(is_on=True):
            self._warn(line)

    def end(self, line: str) -> None:
        """Note a success, and report it if the last attempt failed."""
        if self.is_on and self._change(is_on=False):
            self._inform(line)

    def forget(self) -> None:
        """End the outage without a report, because no more attempts follow."""
        self._change(is_on=False)

    def _change(self, *, is_on: bool) -> bool:
        with self._guard:
            was, self.is_on = self.is_on, is_on
        return was != is_on
