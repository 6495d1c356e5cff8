"""Job that puts the mails of due digests. A lease lets one worker run it."""

from documents.concurrency.lease import keep_lease
from documents.mail.mail import has_mail_server
from documents.reports.put_digests import put_due_digests

DIGESTS_LEASE = "digests"


def step() -> bool:
    """Put the mails of some due digests. Return whether there were any.

    Without a mail server in the settings, digests wait. Later, only the last period is sent.
    """
    if not has_mail_server():
        return False
    with keep_lease(DIGESTS_LEASE) as holding:
        return holding is not None and put_due_digests()
