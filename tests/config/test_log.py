"""A queue that is away does not fill the disk with the same words."""

import logging

from config.log import SayItOnce


def record(
    error: Exception | None = None, message: str = "Error reading from queue"
) -> logging.LogRecord:
    exc_info = (type(error), error, None) if error else None
    return logging.LogRecord("huey", logging.ERROR, "", 0, message, (), exc_info)


def test_the_same_failure_is_a_line_a_minute() -> None:
    once = SayItOnce()
    said = [one for one in (record(ConnectionError("x")) for _ in range(100)) if once.filter(one)]
    assert [one.getMessage() for one in said] == ["Error reading from queue (ConnectionError)"]
    later = record(ConnectionError("x"))
    later.created += 61
    assert once.filter(later)
    assert once.filter(record(TimeoutError("y")))
    assert once.filter(record(message="Worker 1 died"))
