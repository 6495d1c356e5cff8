"""An SMTP server that keeps the mails that it accepts."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from service.local.servers import LOOPBACK_ADDRESS

ACCEPTED = "250 OK"


@dataclass
class ReceivedMail:
    """A mail that the server accepted, and its recipients."""

    sender: str
    recipients: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        found: Any = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def text(self) -> str:
        """The plain text."""
        body: Any = self.message.get_body(("plain",))
        return str(body.get_content()).replace("\r\n", "\n")


@dataclass
class MailServer:
    """The server's state, which a test can change while it runs.

    Attributes:
        answers: what the server answers to recipients, by address.
        answer: what it answers to a content.
        logins: user names and passwords of all logins.
    """

    received: list[ReceivedMail] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    answer: str = ACCEPTED
    delay_seconds: float = 0.0
    logins: list[tuple[str, str]] = field(default_factory=list)
    password: str = ""
    port: int = 0
    was_encrypted: bool = False
    on_accept: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"smtp://{LOOPBACK_ADDRESS}:{self.port}"

    def list_subjects(self) -> list[str]:
        return [str(one.message["Subject"]) for one in self.received]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return ACCEPTED

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        time.sleep(self.delay_seconds)  # a server that hangs as a whole
        if self.answer != ACCEPTED:
            return self.answer
        assert isinstance(envelope.content, bytes)
        self.was_encrypted = session.ssl is not None
        mail = ReceivedMail(envelope.mail_from or "", envelope.rcpt_tos, envelope.content)
        self.received.append(mail)
        self.on_accept()
        return ACCEPTED

    def check_login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        login = data.login.decode(), data.password.decode()
        self.logins.append(login)
        return AuthResult(success=login[1] == self.password, handled=False)


@contextmanager
def run_mail_server(
    *,
    port: int = 0,
    certificate: tuple[Path, Path] | None = None,
    password: str = "",
    is_encrypted: bool = False,
) -> Iterator[MailServer]:
    """Run a server on the loopback address. A certificate offers STARTTLS, or TLS at once."""
    server = MailServer(password=password)
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    options: dict[str, Any] = {"tls_context": None if is_encrypted else context}
    if password:
        options |= {"authenticator": server.check_login, "auth_required": True}
        options["auth_require_tls"] = context is not None and not is_encrypted
    controller = Controller(
        server,
        hostname=LOOPBACK_ADDRESS,
        port=port,
        ssl_context=context if is_encrypted else None,
        enable_SMTPUTF8=True,
        **options,
    )
    controller.port = port or _find_port()
    controller.start()
    server.port = controller.port
    try:
        yield server
    finally:
        controller.stop()


def _find_port() -> int:
    from service.local.servers import find_free_port

    return find_free_port(0)
