"""Buffered log lines, which a thread writes at most 0.1 s late.

A thread that writes releases the GIL, and then waits for it behind all threads that answer
requests. So writing each line at once delays a request by more than the write itself.
"""

import contextlib
import threading
import time
from collections import deque
from typing import IO

from config.background import BackgroundThread

LOG_WRITE_INTERVAL_SECONDS = 0.1
MAX_BUFFERED_LINES = 10_000  # above this, the logging thread writes synchronously


class BufferedLines:
    """A file with a buffer, which a thread of each process writes.

    A killed process loses the lines of the last 0.1 s.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lines: deque[bytes] = deque()
        self._guard = threading.Lock()
        self._writer = BackgroundThread("log", self._keep_writing)

    def write(self, line: bytes) -> int:
        """Buffer the line. If the buffer is full, write it at once."""
        self._writer.ensure_started()
        self._lines.append(line)
        if len(self._lines) > MAX_BUFFERED_LINES:
            self.write_out()
        return len(line)

    def flush(self) -> None:
        """Do nothing. Loggers flush after each line, which would defeat the buffer."""

    def write_out(self) -> None:
        """Write all buffered lines, for example at exit."""
        with self._guard:
            lines = []
            with contextlib.suppress(IndexError):
                while True:
                    lines.append(self._lines.popleft())
            if not lines:
                return
            with contextlib.suppress(OSError, ValueError):  # the reader may be gone
                self._file.write(b"".join(lines))
                self._file.flush()

    def _keep_writing(self) -> None:
        while True:
            time.sleep(LOG_WRITE_INTERVAL_SECONDS)
            self.write_out()
