"""Background writer of a transaction: a thread that sends writes while the next are computed.

Python computes while MongoDB writes. A session takes one command at a time, so a caller must wait
for the thread before it uses the session.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Self

# One thread for each running transaction, created on demand. The default limit depends on the
# processors, but these threads only wait for MongoDB. It would block further transactions.
MAX_WRITER_THREADS = 1000

_threads = ThreadPoolExecutor(MAX_WRITER_THREADS, thread_name_prefix="writes")


class BackgroundWriter:
    """Writes one command at a time. As a context manager, it waits for the last write on exit."""

    def __init__(self) -> None:
        self._under_way: Future[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.wait()
        elif self._under_way:
            self._under_way.exception()

    def send(self, write: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Start write(*args, **kwargs) after the previous write has finished.

        Raises:
            Exception: the previous write failed.
        """
        self.wait()
        self._under_way = _threads.submit(copy_context().run, write, *args, **kwargs)

    def wait(self) -> None:
        """Wait until no write is running.

        Raises:
            Exception: the write failed.
        """
        last, self._under_way = self._under_way, None
        try:
            if last:
                last.result()
        finally:
            # otherwise, the error and this frame reference each other and keep all rows in memory
            del last
