"""The Prometheus metrics that a process counts about its own work.

They are not in service/, because documents/ and jobs/ count, too. Web processes sum up their
metrics in one directory. gunicorn.conf.py sets it before any module imports this one. No label
identifies an organization, a record or an address.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import Counter, Histogram

# Up to a day, because operators want to know the length of an outage.
SETTLE_BUCKETS_SECONDS = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    600,
    3600,
    86400,
)
EVENT_ATTEMPT_BUCKETS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
EVENT_ATTEMPT_RESULTS = ("delivered", "failed")
BATCH_SIZE_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
MAIL_RESULTS = ("sent", "delayed", "failed", "dropped")
ENQUEUE_FAILURE_REASONS = ("queue_away", "outbox_full", "error")

SETTLE_SECONDS = Histogram(
    "matchback_settle_seconds",
    "Time from the write that made a record due until it was processed",
    ["kind"],
    buckets=SETTLE_BUCKETS_SECONDS,
)
BATCH_SIZE = Histogram(
    "matchback_batch_size",
    "Number of records, webhook deliveries or events per transaction",
    ["kind"],
    buckets=BATCH_SIZE_BUCKETS,
)
TRANSACTION_RETRIES = Counter(
    "matchback_transaction_retries",
    "Number of transactions that restarted because of a conflict",
    ["work"],
)
WEBHOOK_EVENTS = Counter(
    "matchback_webhook_events",
    "Number of webhook events by the result of their first processing. The type of payment events "
    "is their provider",
    ["type", "fate"],
)
MACHINE_CLICKS = Counter(
    "matchback_machine_clicks",
    "Number of arriving clicks that a machine made, by the sign that revealed it",
    ["reason"],
)
SHARED_ITEMS = Counter(
    "matchback_shared_items",
    "Number of items from shared provider accounts, by the result of their routing: `routed`, or "
    "the reason why they belong to no organization",
    ["provider", "fate"],
)
EVENT_ATTEMPTS = Counter(
    "matchback_event_attempts",
    "Number of requests that sent an outgoing event, by result: `delivered` or `failed`",
    ["result"],
)
EVENT_ATTEMPT_SECONDS = Histogram(
    "matchback_event_attempt_seconds",
    "Time of a request that sent an outgoing event",
    buckets=EVENT_ATTEMPT_BUCKETS_SECONDS,
)
ENQUEUE_FAILURES = Counter(
    "matchback_enqueue_failures",
    "Number of wake-ups that did not reach the queue; the sweep processes their records",
    ["reason"],
)
MAILS = Counter(
    "matchback_mails",
    "Number of attempts to send a mail by kind and result: `sent`, `delayed`, `failed`, or "
    "`dropped` if there was nothing to send any more",
    ["kind", "result"],
)
# Initialize the series, because Prometheus cannot compute an increase from an absent one.
for _reason in ENQUEUE_FAILURE_REASONS:
    ENQUEUE_FAILURES.labels(_reason)
for _result in EVENT_ATTEMPT_RESULTS:
    EVENT_ATTEMPTS.labels(_result)
WEBHOOK_EVENTS.labels("unknown", "refused")
for _result in MAIL_RESULTS:
    MAILS.labels("notice", _result)


def observe_settle_times(kind: str, dues: Iterable[datetime], at: datetime) -> None:
    """Record how long these records were due until they were processed."""
    seconds = SETTLE_SECONDS.labels(kind)
    for due in dues:
        seconds.observe(max(0.0, (at - due).total_seconds()))


def observe_batch_sizes(**sizes: int) -> None:
    """Record the number of records of each kind in one transaction."""
    for kind, size in sizes.items():
        if size:
            BATCH_SIZE.labels(kind).observe(size)


def count_webhook_events(by_type_and_fate: Mapping[tuple[str, str], int]) -> None:
    """Count a batch's events by type and result."""
    for (type_, fate), number in by_type_and_fate.items():
        WEBHOOK_EVENTS.labels(type_, fate).inc(number)


def count_machine_clicks(by_reason: Mapping[str, int]) -> None:
    """Count a batch's machine clicks by reason."""
    for reason, number in by_reason.items():
        MACHINE_CLICKS.labels(reason).inc(number)


def count_shared_items(by_provider_and_fate: Mapping[tuple[str, str], int]) -> None:
    """Count the items of shared posts by provider and result."""
    for (provider, fate), number in by_provider_and_fate.items():
        SHARED_ITEMS.labels(provider, fate).inc(number)


def observe_event_attempts(successes_and_seconds: Iterable[tuple[bool, float]]) -> None:
    """Record requests that sent outgoing events: their success, and their time in seconds."""
    for is_success, seconds in successes_and_seconds:
        EVENT_ATTEMPTS.labels("delivered" if is_success else "failed").inc()
        EVENT_ATTEMPT_SECONDS.observe(seconds)
