"""A test mail, which shows that the settings are correct."""

import secrets

from config.mail_server import parse_sender
from config.settings import get_settings
from documents.mail.delivery import open_session
from documents.mail.mail import has_mail_server
from documents.mail.message import add_headers, build_message, parse_recipient
from documents.values.time import now


class NoMailServer(Exception):
    """The settings name no mail server."""


def send_test_mail(address: str) -> str:
    """Send a test mail and return the server's answer.

    Raises:
        NoMailServer: the settings name no mail server.
        UnusableAddress: no mail can have this recipient.
        MailServerUnavailable: the server cannot be used now.
        MailRejected: the server rejected the mail.
    """
    if not has_mail_server():
        raise NoMailServer
    settings = get_settings()
    recipient = parse_recipient(address)
    message = build_message(
        "Test mail from Matchback",
        "This mail shows that Matchback can send notices and digests.\n\n"
        f"Matchback: {settings.url}\n",
    )
    add_headers(
        message,
        sender=parse_sender(settings.mail_from),
        recipient=recipient,
        key=f"test:{secrets.token_hex()}",
        at=now(),
    )
    with open_session() as session:
        return session.send(message, recipient)
