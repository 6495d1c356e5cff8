"""Failures of the SMTP server, in words that contain no password and no address."""

import binascii
import contextlib
import re
import smtplib
import ssl
from collections.abc import Iterator

LINE_PREVIEW_LENGTH = 200
ADDRESS_IN_REPLY = re.compile(r"[^\s<>]+@[^\s<>]+")


class MailServerUnavailable(Exception):
    """The server cannot be used now. No mail is at fault. The message has no password."""


class MailRejected(Exception):
    """The server rejected this mail.

    Args:
        answer: code and text of the server.
        is_permanent: whether another attempt cannot succeed.
    """

    def __init__(self, answer: str, *, is_permanent: bool) -> None:
        super().__init__(answer)
        self.answer = answer
        self.is_permanent = is_permanent


@contextlib.contextmanager
def explain_failures() -> Iterator[None]:
    """Turn failures of the connection into `MailServerUnavailable`, without the password."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        answer = describe_reply(error.smtp_code, error.smtp_error)
        raise MailServerUnavailable(f"the server rejected the login: {answer}") from None
    except smtplib.SMTPResponseException as error:
        answer = describe_reply(error.smtp_code, error.smtp_error)
        raise MailServerUnavailable(answer) from None
    except smtplib.SMTPNotSupportedError as error:
        raise MailServerUnavailable(str(error)) from None
    except binascii.Error:  # `smtplib` does not expect it from a login
        raise MailServerUnavailable("the server's answer to the login is not valid") from None
    except (OSError, smtplib.SMTPException) as error:
        raise MailServerUnavailable(_describe_failure(error)) from None


def _describe_failure(error: Exception) -> str:
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the server closed the connection"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not valid: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if type(error) is smtplib.SMTPException:  # only a login raises it
        return "the server offers no usable way to log in"
    return type(error).__name__


def describe_reply(code: int, answer: bytes | str) -> str:
    """Return a reply in one line, without the addresses that servers often repeat."""
    if code < 0:  # `smtplib` found no code
        return "the answer is not SMTP"
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    text = ADDRESS_IN_REPLY.sub("…", text)
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return f"{code} {line}"[:LINE_PREVIEW_LENGTH]
