"""A background thread of a process, which starts on first use."""

import os
import threading
from collections.abc import Callable


class BackgroundThread:
    """A daemon thread. It starts on first use, because threads do not survive a fork."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self._name = name
        self._run = run
        self._guard = threading.Lock()
        self._pid: int | None = None

    def ensure_started(self) -> None:
        """Start the thread unless it runs in this process. This is cheap, so call it often."""
        if self._pid == os.getpid():
            return
        with self._guard:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
