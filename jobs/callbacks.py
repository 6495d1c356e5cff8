"""Signal handlers that schedule a job for each saved record.

Blinker holds receivers weakly, so they are functions of the module.
"""

from collections.abc import Sequence
from typing import Any

from mongoengine import signals

from documents.donation import Donation
from documents.email import Email
from documents.mailing import Mailing
from documents.storage.export_outbox import export_noted
from documents.storage.record import Record
from documents.user import User
from documents.webhook_delivery import WebhookDelivery
from jobs.tasks import (
    count_email,
    count_mailing,
    follow_user,
    tally_delivery,
    update_email_donation,
)
from jobs.wakeups import wakeup_buffer
from jobs.warehouse.tasks import wake_exporter

JOB_BY_DOCUMENT: dict[type[Record], Any] = {
    Donation: update_email_donation,
    Email: count_email,
    Mailing: count_mailing,
    WebhookDelivery: tally_delivery,
    User: follow_user,
}


def schedule_job(sender: type[Record], document: Record, **_: Any) -> None:
    """Wake a worker for the saved record. Never raise or wait, because the record is due anyway."""
    wakeup_buffer.put(JOB_BY_DOCUMENT[sender], str(document.id))


def schedule_bulk_jobs(sender: type[Record], documents: Sequence[Any], **_: Any) -> None:
    """Wake a worker for imported records; see documents/imports/wakeups.py."""
    for document in documents:
        schedule_job(sender, document)


def connect_signals() -> None:
    """Let saves in this process schedule jobs. A second call changes nothing."""
    for imported in (Donation, Email, User):
        signals.post_bulk_insert.connect(schedule_bulk_jobs, sender=imported)
    for saved in JOB_BY_DOCUMENT:
        signals.post_save.connect(schedule_job, sender=saved)
    wake_exporter_when_noted()


def wake_exporter_when_noted() -> None:
    """Let changes in this process wake the exporter. Workers need this too, because they settle."""
    export_noted.connect(wake_exporter)
