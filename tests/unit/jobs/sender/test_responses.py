"""Statuses, errors and headers of receivers, in plain words."""

import errno
from datetime import UTC, datetime

import aiohttp
import pytest

from jobs.sender.responses import (
    BLOCKED_ERROR,
    BlockedAddress,
    describe_failure,
    describe_status,
    is_local_problem,
    read_retry_after,
)

AT = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        *((200, ""), (204, ""), (299, ""), (500, "Status 500."), (404, "Status 404.")),
        (301, "Status 301. Redirects are not followed."),
    ],
)
def test_only_2xx_is_a_success(status: int, words: str) -> None:
    assert describe_status(status) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "No response in time."),
        (BlockedAddress("x"), BLOCKED_ERROR),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "The host rejected the connection."),
        (aiohttp.InvalidURL("x"), "The URL is not valid."),
        (UnicodeError("label too long"), "The host name was not found."),
        (
            aiohttp.ServerDisconnectedError(),
            "The connection was closed without a response.",
        ),
        (aiohttp.ClientPayloadError(), "The response is not valid HTTP."),
    ],
)
def test_errors_are_described_without_the_receivers_text(error: Exception, words: str) -> None:
    assert describe_failure(error) == words


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *((None, 0), ("", 0), ("120", 120), ("-5", 0), ("soon", 0), ("1e3", 0), ("²", 0)),
        ("Sun, 29 Nov 2026 10:01:00 GMT", 60),
        ("Sun, 29 Nov 2026 09:00:00 GMT", 0),
        ("Sun, 29 Nov 2026 10:01:00", 0),
        ("9" * 5000, 999_999_999),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float) -> None:
    assert read_retry_after(header, AT) == seconds


def test_too_many_open_files_are_not_the_receivers_fault() -> None:
    assert is_local_problem(OSError(errno.EMFILE, "x"))
    assert not is_local_problem(ConnectionRefusedError(errno.ECONNREFUSED, "x"))
    assert not is_local_problem(TimeoutError())
