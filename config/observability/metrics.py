"""The Prometheus metrics that a process counts about its own work.

They are here and not in service/, because documents/ and jobs/ count too. Web processes add up
their metrics in one folder. gunicorn.conf.py sets it before any module imports this one. No label
identifies an organization, a record, or an address.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import Counter, Histogram

# To the day: after an outage it is hours, and how many is what one wants to know.
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
BATCH_SIZE_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
ENQUEUE_FAILURE_REASONS = ("queue_away", "outbox_full", "error")

SETTLE_SECONDS = Histogram(
    "matchback_settle_seconds",
    "From the write that made a record due to its being counted",
    ["kind"],
    buckets=SETTLE_BUCKETS_SECONDS,
)
BATCH_SIZE = Histogram(
    "matchback_batch_size",
    "Records, webhook posts or events that one transaction counted",
    ["kind"],
    buckets=BATCH_SIZE_BUCKETS,
)
TRANSACTION_RETRIES = Counter(
    "matchback_transaction_retries",
    "Times that a transaction began again, for it met another",
    ["work"],
)
WEBHOOK_EVENTS = Counter(
    "matchback_webhook_events",
    "Events of webhooks by what became of them when they were first read; of payments by provider",
    ["type", "fate"],
)
ENQUEUE_FAILURES = Counter(
    "matchback_enqueue_failures",
    "Wake-ups that did not reach the queue; the sweep settles what they told of",
    ["reason"],
)
# There from the start: an increase from nothing at all is none to Prometheus.
for _reason in ENQUEUE_FAILURE_REASONS:
    ENQUEUE_FAILURES.labels(_reason)
WEBHOOK_EVENTS.labels("unknown", "refused")


def observe_settle_times(kind: str, dues: Iterable[datetime], at: datetime) -> None:
    """Records of a kind that had been due since then are counted now."""
    seconds = SETTLE_SECONDS.labels(kind)
    for due in dues:
        seconds.observe(max(0.0, (at - due).total_seconds()))


def observe_batch_sizes(**sizes: int) -> None:
    """One transaction counted so many of each kind."""
    for kind, size in sizes.items():
        if size:
            BATCH_SIZE.labels(kind).observe(size)


def count_webhook_events(by_type_and_fate: Mapping[tuple[str, str], int]) -> None:
    """What became of the events of a batch."""
    for (type_, fate), number in by_type_and_fate.items():
        WEBHOOK_EVENTS.labels(type_, fate).inc(number)
