"""Thread of the sender process that sends the mails of the outbox.

It has its own thread, so that a slow mail server delays no webhook.
"""

import logging
import threading
import time

from config.observability.outage import Outage
from documents.mail.delivery import send_due_mails
from documents.mail.smtp_failures import MailServerUnavailable
from jobs.periodic.periodic import PeriodicThread

log = logging.getLogger(__name__)

MAIL_IDLE_SECONDS = 1.0
FIRST_OUTAGE_PAUSE_SECONDS = 5.0
MAX_OUTAGE_PAUSE_SECONDS = 120.0


class MailStep:
    """Sends what is due. While the server is unavailable, it waits longer after each attempt."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._outage = Outage(log.error, log.info)
        self._pause = FIRST_OUTAGE_PAUSE_SECONDS
        self._next_at = 0.0

    def run(self) -> bool:
        """Send the due mails. Return whether there were any."""
        if time.monotonic() < self._next_at:
            return False
        try:
            claimed = send_due_mails(self.stopping.is_set)
        except MailServerUnavailable as error:
            self._outage.begin(f"the mail server is unavailable; mails wait ({error})")
            self._next_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, MAX_OUTAGE_PAUSE_SECONDS)
            return False
        if claimed:
            self._outage.end("the mail server is available again")
            self._pause = FIRST_OUTAGE_PAUSE_SECONDS
        return claimed > 0


class MailThread(PeriodicThread):
    """The thread. The worker of the sender process starts and stops it."""

    def __init__(self) -> None:
        self._mails = MailStep()
        super().__init__("mail", self._mails.run, idle=MAIL_IDLE_SECONDS)

    def stop(self, timeout: float) -> None:
        """Stop after the current mail."""
        self._mails.stopping.set()
        super().stop(timeout)
