"""A background thread of a process, which starts at its first use."""

import os
import threading
from collections.abc import Callable


class BackgroundThread:
    """A daemon thread. Started at first use, and so after a fork: threads do not survive one."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self._name = name
        self._run = run
        self._guard = threading.Lock()
        self._pid: int | None = None

    def ensure_started(self) -> None:
        """Have it running in this process. Costs next to nothing once it is."""
        if self._pid == os.getpid():
            return
        with self._guard:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
