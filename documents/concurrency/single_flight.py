"""Single flight: at most one thread of a process works on a key. Other threads skip the work."""

import threading
from collections.abc import Callable, Hashable

from documents.storage import shutdown


class SingleFlight:
    """A guard that runs the work for a key in one thread at a time.

    A call during a run makes that thread run the work again, and returns at once. So a busy
    fundraiser occupies one thread of a worker. No call is lost, because a run starts after it and
    reads all that was stored before it.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._wanted_again: dict[Hashable, bool] = {}

    def run(self, key: Hashable, work: Callable[[], int]) -> int:
        """Run the work, and repeat it while other threads request it. Return the summed results."""
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
