"""The background writer of a transaction: a thread that sends writes while the next are computed.

Python computes while MongoDB writes, and neither waits for the other. A session takes one command
at a time, so a caller that wants to use it waits for the thread first.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Self

# One for each transaction under way, made when it is first needed. By default there would be four
# more than processors, for which further transactions would wait, though it is MongoDB that works.
MAX_WRITER_THREADS = 1000

_threads = ThreadPoolExecutor(MAX_WRITER_THREADS, thread_name_prefix="writes")


class BackgroundWriter:
    """One write at a time. As a context, none is under way any more when it is left."""

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
        """Begin to do write(*args, **kwargs), once the last one is done.

        Raises:
            Exception: that of the last one.
        """
        self.wait()
        self._under_way = _threads.submit(copy_context().run, write, *args, **kwargs)

    def wait(self) -> None:
        """Until nothing is under way.

        Raises:
            Exception: that of the write.
        """
        last, self._under_way = self._under_way, None
        try:
            if last:
                last.result()
        finally:
            del last  # else its error would hold this frame, which holds it, and all that was read
