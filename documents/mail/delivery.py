"""Sending the mails of the outbox.

A failed attempt of a mail plans the next one. An outage of the server uses up no attempts. All
mails then wait, for at most MAX_MAIL_AGE.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage

from config.mail_server import parse_sender, parse_smtp_url
from config.observability.metrics import MAILS
from config.settings import get_settings
from documents.access.staff import Staff
from documents.concurrency.retries import describe_error
from documents.errors import NotFound
from documents.mail.mail import Mail, has_mail_server
from documents.mail.message import UnusableAddress, add_headers, parse_recipient
from documents.mail.renderers import find_renderer
from documents.mail.smtp import SmtpSession
from documents.mail.smtp_failures import MailRejected, MailServerUnavailable
from documents.organization import Organization
from documents.values.time import now

log = logging.getLogger(__name__)

MAX_MAIL_TRIES = 12  # over about nine hours
MAX_MAIL_AGE = timedelta(days=3)
FIRST_RETRY_PAUSE = timedelta(minutes=1)
MAX_RETRY_PAUSE = timedelta(hours=1)
RETRY_PAUSE_FACTOR = 4


def open_session() -> SmtpSession:
    """Connect to the mail server of the settings.

    Raises:
        MailServerUnavailable: the server cannot be used now.
    """
    settings = get_settings()
    return SmtpSession.open(parse_smtp_url(settings.smtp_url), parse_sender(settings.mail_from))


def send_due_mails(has_stopped: Callable[[], bool]) -> int:
    """Send the due mails in one session. Return the number of mails that were claimed.

    Raises:
        MailServerUnavailable: the server cannot be used now.
    """
    if not has_mail_server() or not Mail.is_any_due(now()):
        return 0
    claimed = 0
    with open_session() as session:
        while session.is_open and not has_stopped():
            if (mail := Mail.claim_next(now())) is None:
                break
            claimed += 1
            deliver(mail, session)
    return claimed


def deliver(mail: Mail, session: SmtpSession) -> None:
    """Write and send a claimed mail, and store the result."""
    if now() - mail.created_at > MAX_MAIL_AGE:
        _fail(mail, "not sent in time")
        return
    staff = Staff.objects(id=mail.staff_id, deleted_at=None).first()
    organization = Organization.objects(id=mail.organization_id).first()
    if organization is None or organization.deleting_at:  # so no one can read the result
        mail.delete()
        return
    if staff is None:
        _drop(mail)
        return
    try:
        # Another organization's admin chose the spelling of a member's address, so a mail for the
        # person goes to the address of the account.
        address = (staff.person if mail.is_for_person else staff).email
        message = _render(mail, staff, organization)
    except NotFound:  # another process removed the member meanwhile
        _drop(mail)
        return
    except Exception as error:  # a bug in one kind of mail must not stop the others
        log.exception("cannot write a mail of kind %s", mail.kind)
        _retry(mail, describe_error(error))
        return
    if message is None:
        _drop(mail)
        return
    _send(mail, message, address, session)


def _render(mail: Mail, staff: Staff, organization: Organization) -> EmailMessage | None:
    renderer = find_renderer(mail.kind)
    if renderer is None:  # a later version stored it
        raise LookupError(mail.kind)
    return renderer(mail, staff, organization)


def _send(mail: Mail, message: EmailMessage, address: str, session: SmtpSession) -> None:
    sender = parse_sender(get_settings().mail_from)
    try:
        recipient = parse_recipient(address)
        add_headers(message, sender=sender, recipient=recipient, key=mail.key, at=now())
        session.send(message, recipient)
    except UnusableAddress as error:
        _fail(mail, str(error))
    except MailRejected as error:
        if error.is_permanent:
            _fail(mail, error.answer)
        else:
            _retry(mail, error.answer)
    except MailServerUnavailable as error:
        # The content of this mail may be the cause, so the attempt counts.
        _retry(mail, str(error))
    else:
        mail.mark_sent()
        MAILS.labels(mail.kind, "sent").inc()


def _retry(mail: Mail, error: str) -> None:
    tries = mail.tries + 1
    if tries >= MAX_MAIL_TRIES:
        _fail(mail, error)
        return
    pause = min(FIRST_RETRY_PAUSE * RETRY_PAUSE_FACTOR ** min(tries - 1, 8), MAX_RETRY_PAUSE)
    log.warning("a mail of kind %s is delayed: %s", mail.kind, error)
    mail.retry_at(now() + pause, error)
    MAILS.labels(mail.kind, "delayed").inc()


def _fail(mail: Mail, error: str) -> None:
    log.error("a mail of kind %s was not sent: %s", mail.kind, error)
    mail.mark_failed(error)
    MAILS.labels(mail.kind, "failed").inc()


def _drop(mail: Mail) -> None:
    mail.drop()
    MAILS.labels(mail.kind, "dropped").inc()
