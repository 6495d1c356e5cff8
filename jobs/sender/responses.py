"""Meanings of responses and errors, in words that staff read beside an attempt. Pure."""

import errno
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp

TIMEOUT_ERROR = "No response in time."
BLOCKED_ERROR = "The host has no public address."
# The first class that matches counts.
FAILURE_TEXTS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, TIMEOUT_ERROR),
    (aiohttp.InvalidURL, "The URL is not valid."),
    (aiohttp.ClientConnectorDNSError, "The host name was not found."),
    (UnicodeError, "The host name was not found."),  # an empty or long label, which DNS excludes
    (aiohttp.ClientConnectorCertificateError, "The certificate is not valid."),
    (aiohttp.ClientSSLError, "The TLS handshake failed."),
    (aiohttp.ClientConnectorError, "The connection failed."),
    (aiohttp.ServerDisconnectedError, "The connection was closed without a response."),
    (aiohttp.ClientOSError, "The connection was closed without a response."),
)
# This machine, not the receiver, lacks something.
LOCAL_ERRNOS = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
)


class BlockedAddress(OSError):
    """The address may not receive events."""


def describe_status(status: int) -> str:
    """Return why a response is a failure, or nothing after a success."""
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"Status {status}. Redirects are not followed."
    return f"Status {status}."


def describe_failure(error: BaseException) -> str:
    """Return why there was no response, without any text of the receiver."""
    cause = find_os_error(error)
    if isinstance(cause, BlockedAddress):
        return BLOCKED_ERROR
    if cause is not None and cause.errno == errno.ECONNREFUSED:
        return "The host rejected the connection."
    for kind, text in FAILURE_TEXTS:
        if isinstance(error, kind):
            return text
    return "The response is not valid HTTP."


def find_os_error(error: BaseException) -> OSError | None:
    """Return the error of the operating system or the connection check behind an error."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error
    return error if isinstance(error, OSError) else None


def is_local_problem(error: BaseException) -> bool:
    """Return whether this machine is at fault, for example because it has too many open files."""
    cause = find_os_error(error)
    return cause is not None and cause.errno in LOCAL_ERRNOS


def is_disconnect(error: BaseException) -> bool:
    """Return whether the connection ended before a response, as an idle connection may."""
    return isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError) and (
        not isinstance(error, aiohttp.ClientConnectorError)
    )


def read_retry_after(header: str | None, at: datetime) -> float:
    """Return the pause that a `Retry-After` header requests, in seconds; 0 if there is none."""
    if not header:
        return 0.0
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        return max(0.0, (parsedate_to_datetime(header) - at).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0
