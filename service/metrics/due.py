"""Metrics of pending work and problems: the number and age of due records, incorrect counters."""

from collections.abc import Iterator
from datetime import datetime

from mongoengine import get_db
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from documents.outgoing.delivery_lag import measure_delivery_lag
from documents.recount.background import find_last_result
from documents.reports.health import SERVICE_WAITING_KINDS, USER_DUE_FIELD
from documents.storage import export_outbox
from documents.storage.due_groups import count_due, find_oldest
from documents.storage.export_state import WarehouseState
from documents.storage.marks import DUE_FILTER
from documents.values.time import now
from service.metrics.mails import collect_mail_metrics


class DueCollector(Collector):
    """A collector that queries the database at each scrape.

    Partial indexes keep the queries fast.
    """

    def describe(self) -> list[Metric]:
        """Return no metrics, because registering must not query the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        count = GaugeMetricFamily(
            "matchback_due", "Number of records that wait to be processed", labels=["kind"]
        )
        oldest = GaugeMetricFamily(
            "matchback_oldest_due_seconds",
            "Age of the oldest record that waits to be processed",
            labels=["kind"],
        )
        for kind, number, since in _find_due():
            count.add_metric([kind], number)
            oldest.add_metric([kind], max(0.0, (now() - since).total_seconds() if since else 0))
        yield count
        yield oldest
        yield from _drift()
        yield from _outgoing()
        yield from collect_mail_metrics()
        if export_outbox.has_warehouse():
            yield from _warehouse()


def _find_due() -> Iterator[tuple[str, int, datetime | None]]:
    """Yield each kind of due records with their number and the oldest due mark."""
    for kind in SERVICE_WAITING_KINDS:
        first = find_oldest(kind)
        yield kind, count_due(kind), first["due"] if first else None
    users, due = get_db().users, {USER_DUE_FIELD: DUE_FILTER["due"]}
    user = users.find_one(due, {USER_DUE_FIELD: 1}, sort=[(USER_DUE_FIELD, 1)])
    yield "users", users.count_documents(due), user[USER_DUE_FIELD] if user else None


def _outgoing() -> Iterator[Metric]:
    found = measure_delivery_lag()
    yield GaugeMetricFamily(
        "matchback_event_lag_seconds",
        "Age of the oldest outgoing event that is due, except events of failing endpoints",
        value=found.lag_seconds,
    )
    yield GaugeMetricFamily(
        "matchback_events_pending",
        "Number of outgoing events that wait for an attempt, up to 100,000",
        value=found.pending,
    )
    yield GaugeMetricFamily(
        "matchback_failing_endpoints",
        "Number of enabled webhook endpoints whose last attempt failed",
        value=found.failing_endpoints,
    )


def _warehouse() -> Iterator[Metric]:
    state = WarehouseState.current()
    yield GaugeMetricFamily(
        "matchback_warehouse_lag_seconds",
        "Age of the oldest change that is not exported to the warehouse",
        value=export_outbox.measure_export_lag(),
    )
    yield GaugeMetricFamily(
        "matchback_warehouse_failing",
        "1 if the last export failed, otherwise 0",
        value=bool(state.error),
    )
    yield GaugeMetricFamily(
        "matchback_warehouse_filled",
        "1 if the initial backfill is complete, otherwise 0",
        value=state.is_filled,
    )


def _drift() -> Iterator[Metric]:
    found = find_last_result()
    if found is not None:
        off, ended = found
        yield GaugeMetricFamily(
            "matchback_counters_off",
            "Number of incorrect counters in the last complete recount",
            value=off,
        )
        yield GaugeMetricFamily(
            "matchback_recount_timestamp_seconds",
            "Unix time at which the last complete recount ended",
            value=ended.timestamp(),
        )
