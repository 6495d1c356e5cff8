"""One line when something fails, and one when it works again, however often it is attempted."""

from collections.abc import Callable
from threading import Lock


class Outage:
    """The state of something that may be unavailable, such as Redis. Threads may share it.

    Args:
        warn: reports the first failure.
        inform: reports the next success.
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
        """Assume that it works, because nothing is attempted any more."""
        self._change(is_on=False)

    def _change(self, *, is_on: bool) -> bool:
        with self._guard:
            was, self.is_on = self.is_on, is_on
        return was != is_on
