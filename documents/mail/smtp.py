"""A session with the SMTP server of the settings.

Each step has a time limit. A timer also ends a session in which the server sends single bytes
slowly, so that no claim expires while its mail is being sent.
"""

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from types import TracebackType
from typing import Self

from config.mail_server import MailServer
from documents.mail.message import to_bytes
from documents.mail.smtp_failures import (
    MailRejected,
    MailServerUnavailable,
    describe_reply,
    explain_failures,
)

STEP_SECONDS = 20.0  # of one answer
SESSION_STEP_SECONDS = 60.0  # of a login, or of one mail with all its answers
TEMPORARY_CODE, PERMANENT_CODE = 400, 500


class SmtpSession:
    """An open connection to the server, for several mails.

    Args:
        sender: its domain is the name with which this client greets the server. The name of the
            host may be unknown to DNS, and the search for it can take long.
    """

    def __init__(self, server: MailServer, sender: Address) -> None:
        self._server = server
        self._sender = sender
        self._smtp = self._make()
        self.is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_open = False
        with contextlib.suppress(OSError, smtplib.SMTPException):
            self._smtp.quit()
        self._smtp.close()

    @classmethod
    def open(cls, server: MailServer, sender: Address) -> Self:
        """Connect, encrypt and log in.

        Raises:
            MailServerUnavailable: one of these steps failed.
        """
        session = cls(server, sender)
        try:
            with explain_failures(), session._limit_time():
                session._connect()
        except MailServerUnavailable:
            session._smtp.close()
            raise
        return session

    def send(self, message: EmailMessage, recipient: Address) -> str:
        """Send a message and return the server's answer.

        Raises:
            MailRejected: the server rejected this mail.
            MailServerUnavailable: the connection ended. The server may have accepted the mail.
        """
        content = to_bytes(message)
        try:
            with explain_failures(), self._limit_time():
                self._begin(recipient)
                self._expect(self._smtp.docmd("RCPT", f"TO:<{recipient.addr_spec}>"))
                return self._expect(self._send_content(content))
        except MailServerUnavailable:
            self.is_open = False
            raise

    def _make(self) -> smtplib.SMTP:
        name = self._sender.domain
        if not self._server.is_encrypted:
            return smtplib.SMTP(local_hostname=name, timeout=STEP_SECONDS)
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(local_hostname=name, timeout=STEP_SECONDS, context=context)

    def _connect(self) -> None:
        server, smtp = self._server, self._smtp
        smtp._host = server.host  # type: ignore[attr-defined]  # SMTP_SSL and STARTTLS check it
        code, answer = smtp.connect(server.host, server.port)
        if code != 220:
            raise MailServerUnavailable(describe_reply(code, answer))
        smtp.ehlo_or_helo_if_needed()
        if not server.is_encrypted and smtp.has_extn("starttls"):
            smtp.starttls(context=_make_starttls_context(server))
            smtp.ehlo_or_helo_if_needed()
        elif not server.is_encrypted and server.has_credentials:
            raise MailServerUnavailable("the server offers no STARTTLS, so no password was sent")
        if server.has_credentials:
            smtp.login(server.user, server.password)

    def _begin(self, recipient: Address) -> None:
        """Begin a mail. A rejected sender may be an error of the settings, so retry later."""
        smtp, options = self._smtp, ""
        smtp.command_encoding = "ascii"
        if not recipient.addr_spec.isascii():
            if not smtp.has_extn("smtputf8"):
                raise MailRejected("the server does not support this address", is_permanent=True)
            smtp.command_encoding, options = "utf-8", " SMTPUTF8 BODY=8BITMIME"
        code, answer = smtp.docmd("MAIL", f"FROM:<{self._sender.addr_spec}>{options}")
        if code != 250:
            self._give_up(code, answer, is_permanent=False)

    def _send_content(self, content: bytes) -> tuple[int, bytes]:
        try:
            return self._smtp.data(content)
        except smtplib.SMTPDataError as error:  # the server rejected the command itself
            code, answer = error.smtp_code, bytes(error.smtp_error)  # type: ignore[arg-type]
            if code < TEMPORARY_CODE:  # it has not read the content, although it may answer 250
                raise MailServerUnavailable(describe_reply(code, answer)) from None
            return code, answer

    def _expect(self, reply: tuple[int, bytes]) -> str:
        code, answer = reply
        if code not in (250, 251):
            self._give_up(code, answer, is_permanent=code >= PERMANENT_CODE)
        return describe_reply(code, answer)

    def _give_up(self, code: int, answer: bytes, *, is_permanent: bool) -> None:
        if code == 421 or code < TEMPORARY_CODE:  # the server is closing the connection
            raise MailServerUnavailable(describe_reply(code, answer))
        try:
            self._smtp.rset()
        except (OSError, smtplib.SMTPException):
            self.is_open = False
        raise MailRejected(describe_reply(code, answer), is_permanent=is_permanent)

    @contextlib.contextmanager
    def _limit_time(self) -> Iterator[None]:
        timer = threading.Timer(SESSION_STEP_SECONDS, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        sock = self._smtp.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                # The method of `SSLSocket` would change the object that another thread is using.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _make_starttls_context(server: MailServer) -> ssl.SSLContext:
    """Return the context of STARTTLS. Only a password requires a certificate that is valid.

    Local servers often have a certificate of their own, and encryption without a check is better
    than none.
    """
    context = ssl.create_default_context()
    if not server.has_credentials:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
