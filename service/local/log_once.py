"""A log for an action that can fail repeatedly: the first failure, and the next success."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ToldOnce:
    """Survives the failures of an act. Reports the first of them, and the next success."""

    def __init__(self, say: Callable[[str], None], act: str) -> None:
        self._say = say
        self._act = act
        self.has_failed = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Do the act within the block. OSError is reported and goes no further."""
        try:
            yield
        except OSError as error:
            if not self.has_failed:
                self.has_failed = True
                reason = error.strerror or type(error).__name__
                self._say(f"{self._act} fails: {reason}. It is attempted until it succeeds.")
        else:
            if self.has_failed:
                self.has_failed = False
                self._say(f"{self._act} succeeds again.")
