"""Metrics of what needs attention: the number and age of due records, and incorrect counters."""

from collections.abc import Iterator

from mongoengine import get_db
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from documents.recount.background import find_last_result
from documents.reports.health import DUE_FIELDS
from documents.storage import export_outbox
from documents.storage.export_state import WarehouseState
from documents.storage.marks import DUE_FILTER
from documents.values.time import now


class DueCollector(Collector):
    """Asks the database at each scrape; the partial indexes hold only what is due."""

    def describe(self) -> list[Metric]:
        """Nothing in advance: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        count = GaugeMetricFamily("matchback_due", "Records not settled yet", labels=["kind"])
        oldest = GaugeMetricFamily(
            "matchback_oldest_due_seconds", "Age of the oldest of them", labels=["kind"]
        )
        for kind, mark in DUE_FIELDS.items():
            collection, due = get_db()[kind], {mark: DUE_FILTER["due"]}
            first = collection.find_one(due, {mark: 1}, sort=[(mark, 1)])
            count.add_metric([kind], collection.count_documents(due))
            age = (now() - first[mark]).total_seconds() if first else 0
            oldest.add_metric([kind], max(0.0, age))
        yield count
        yield oldest
        yield from _drift()
        if export_outbox.has_warehouse():
            yield from _warehouse()


def _warehouse() -> Iterator[Metric]:
    state = WarehouseState.current()
    yield GaugeMetricFamily(
        "matchback_warehouse_lag_seconds",
        "Age of the oldest change that the warehouse does not know",
        value=export_outbox.measure_export_lag(),
    )
    yield GaugeMetricFamily(
        "matchback_warehouse_failing", "Whether the last export failed", value=bool(state.error)
    )
    yield GaugeMetricFamily(
        "matchback_warehouse_filled",
        "Whether all that was stored before is in it",
        value=state.is_filled,
    )


def _drift() -> Iterator[Metric]:
    found = find_last_result()
    if found is not None:
        off, ended = found
        yield GaugeMetricFamily(
            "matchback_counters_off", "Counters off in the last whole recount", value=off
        )
        yield GaugeMetricFamily(
            "matchback_recount_timestamp_seconds", "When it ended", value=ended.timestamp()
        )
