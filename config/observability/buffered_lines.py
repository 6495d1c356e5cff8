"""Buffered log lines, written together at most a tenth of a second late.

A thread that writes releases the GIL, and waits for it again among all threads that answer
requests. So writing each line at once costs a request more than the write itself.
"""

import contextlib
import threading
import time
from collections import deque
from typing import IO

from config.background import BackgroundThread

LOG_WRITE_INTERVAL_SECONDS = 0.1
MAX_BUFFERED_LINES = (
    10_000  # of which some hundred bytes each: beyond that, who tells a line writes
)


class BufferedLines:
    """A file, to which a thread of each process writes what was told it meanwhile.

    A process that is killed takes the lines of the last tenth of a second with it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lines: deque[bytes] = deque()
        self._guard = threading.Lock()
        self._writer = BackgroundThread("log", self._keep_writing)

    def write(self, line: bytes) -> int:
        """Have the line written soon; at once, if what is to be written grows and grows."""
        self._writer.ensure_started()
        self._lines.append(line)
        if len(self._lines) > MAX_BUFFERED_LINES:
            self.write_out()
        return len(line)

    def flush(self) -> None:
        """What loggers call after each line. It would undo what this is for; see write_out."""

    def write_out(self) -> None:
        """Write what was told so far. For an orderly end."""
        with self._guard:
            lines = []
            with contextlib.suppress(IndexError):
                while True:
                    lines.append(self._lines.popleft())
            if not lines:
                return
            with contextlib.suppress(OSError, ValueError):  # whoever reads them may be gone
                self._file.write(b"".join(lines))
                self._file.flush()

    def _keep_writing(self) -> None:
        while True:
            time.sleep(LOG_WRITE_INTERVAL_SECONDS)
            self.write_out()
