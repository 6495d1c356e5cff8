"""Metrics of the outbox of mails."""

from collections.abc import Iterator

from mongoengine import get_db
from prometheus_client.core import GaugeMetricFamily, Metric

from documents.mail.mail import FAILED_FILTER, WAITING_FILTER, has_mail_server
from documents.values.time import now

MAX_INSPECTED_MAILS = 1000  # by their next attempt, which is not the order of their age


def collect_mail_metrics() -> Iterator[Metric]:
    """Yield the number and age of waiting mails, and the number of failed ones.

    Without a mail server in the settings, there are no such metrics.
    """
    if not has_mail_server():
        return
    mails, due = get_db().mails, [("next_attempt_at", 1)]
    yield GaugeMetricFamily(
        "matchback_mails_waiting",
        "Number of mails that wait to be sent",
        value=mails.count_documents(WAITING_FILTER, hint=due),
    )
    oldest = mails.find(WAITING_FILTER, {"created_at": 1}, sort=due, limit=MAX_INSPECTED_MAILS)
    created = min((row["created_at"] for row in oldest), default=None)
    yield GaugeMetricFamily(
        "matchback_oldest_waiting_mail_seconds",
        "Age of the oldest mail that waits to be sent",
        value=max(0.0, (now() - created).total_seconds()) if created else 0,
    )
    yield GaugeMetricFamily(
        "matchback_mails_not_sent",
        "Number of mails of the last 100 days that could not be sent",
        value=mails.count_documents(FAILED_FILTER, hint=[("failed_at", 1)]),
    )
