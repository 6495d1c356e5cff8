"""`matchback mail`: a test of the mail server."""

import sys

import click

from service.commands.connected import explain_errors


@click.group()
def mail() -> None:
    """Check the mail server that sends notices and digests."""


@mail.command("test")
@click.argument("address")
def send_test(address: str) -> None:
    """Send a test mail to ADDRESS, and show the server's answer."""
    from documents.mail.message import UnusableAddress
    from documents.mail.smtp_failures import MailRejected, MailServerUnavailable
    from documents.mail.trial import NoMailServer, send_test_mail

    with explain_errors():
        try:
            answer = send_test_mail(address)
        except NoMailServer:
            raise click.ClickException(
                "No mail server is set. Set MATCHBACK_SMTP_URL and MATCHBACK_MAIL_FROM."
            ) from None
        except UnusableAddress:
            raise click.ClickException("Not a valid email address.") from None
        except MailServerUnavailable as error:
            raise click.ClickException(f"The mail server cannot be used: {error}.") from None
        except MailRejected as error:
            raise click.ClickException(f"The server rejected the mail: {error.answer}") from None
    sys.stdout.write(f"The server accepted the mail: {answer}\n")
