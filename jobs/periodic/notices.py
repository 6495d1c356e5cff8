"""Job that finds problems and notifies admins. A lease lets one worker run it."""

from documents.concurrency.lease import keep_lease
from documents.mail.mail import has_mail_server
from documents.notices.watch import watch_problems

NOTICES_LEASE = "notices"


def step() -> bool:
    """Store the notices that are due. Return whether there were any.

    Without a mail server in the settings, it stores no notices and opens no incidents.
    """
    if not has_mail_server():
        return False
    with keep_lease(NOTICES_LEASE) as holding:
        return holding is not None and watch_problems() > 0
