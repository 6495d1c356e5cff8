"""Single flight: at most one thread of a process does the work for a key. The others skip it."""

import threading
from collections.abc import Callable, Hashable

from documents.storage import shutdown


class SingleFlight:
    """Whoever comes while the work on a key is under way has it done once more, and goes on.

    So a hot fundraiser occupies one thread of a worker, not all of them, and still no call is
    lost: what was stored before a call is seen by a run that starts after it.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._wanted_again: dict[Hashable, bool] = {}

    def run(self, key: Hashable, work: Callable[[], int]) -> int:
        """Do the work, repeated while others ask for it. Returns the sum of what it returned."""
        with self._guard:
            if key in self._wanted_again:
                self._wanted_again[key] = True
                return 0
            self._wanted_again[key] = False
        done = 0
        try:
            while True:
                done += work()
                with self._guard:
                    if not self._wanted_again[key] or shutdown.has_begun():
                        del self._wanted_again[key]
                        return done
                    self._wanted_again[key] = False
        except BaseException:
            with self._guard:
                self._wanted_again.pop(key, None)
            raise
