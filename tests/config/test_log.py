"""A queue that is away does not fill the disk with the same words."""

import io
import logging

from config.log import SayItOnce, WithoutAddresses


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


def test_no_address_is_ever_logged() -> None:
    """An exception may repeat what it met."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(WithoutAddresses("%(message)s"))
    log = logging.Logger("test")
    log.addHandler(handler)
    try:
        raise ValueError('E11000 duplicate key: { address: "bob@example.edu" }')
    except ValueError:
        log.exception("gift of %s at mongodb://u:secret@host/", "<Bob.Baker@example.edu>")
    told = stream.getvalue()
    assert "ValueError" in told
    assert "gift of <(address)>" in told
    assert not any(word in told for word in ("bob", "Bob.Baker", "secret"))
