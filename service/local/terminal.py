"""The terminal output of `matchback up`, which never blocks on a slow reader.

A stalled reader fills the pipe, and a full disk rejects writes. Both would block the supervisor, so
a thread writes the output.
"""

import atexit
import contextlib
import errno
import io
import os
import queue
import sys
import time
from typing import IO, cast

from rich.console import Console

from config.background import BackgroundThread

STDOUT_DESCRIPTOR = 1
MAX_WAITING_TEXTS = 1_000  # texts; more are dropped
WRITE_RETRY_SECONDS = 0.5
FLUSH_TIMEOUT_SECONDS = 2.0
TRANSIENT_WRITE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN)


class BackgroundOutput(io.TextIOBase):
    """Standard output that a thread writes."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[bytes] = queue.Queue(MAX_WAITING_TEXTS)
        self._writer = BackgroundThread("terminal", self._keep_writing)

    def write(self, text: str) -> int:
        """Queue the text for the writer thread."""
        self._writer.ensure_started()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(text.encode(errors="replace"))
        return len(text)

    def isatty(self) -> bool:
        """Return whether standard output is a terminal."""
        return os.isatty(STDOUT_DESCRIPTOR)

    def write_out(self) -> None:
        """Wait briefly until all queued text is written."""
        deadline = time.monotonic() + FLUSH_TIMEOUT_SECONDS
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _keep_writing(self) -> None:
        while True:
            _write(self._waiting.get())
            self._waiting.task_done()


def _write(text: bytes) -> None:
    """Write to the descriptor, because shutdown must not wait for the lock of a buffered file."""
    while text and sys.__stdout__ is not None:  # Otherwise another file may use descriptor 1.
        try:
            text = text[os.write(STDOUT_DESCRIPTOR, text) :]
        except OSError as error:
            if error.errno not in TRANSIENT_WRITE_ERRNOS:
                return  # The reader is gone.
            time.sleep(WRITE_RETRY_SECONDS)


output = BackgroundOutput()
atexit.register(output.write_out)
console = Console(file=cast(IO[str], output), highlight=False, soft_wrap=True)


def print_progress(text: str) -> None:
    """Print a progress line."""
    console.print(f"[bold cyan]matchback[/]  {text}")
