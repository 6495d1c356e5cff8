"""Metrics of the database, shared by all processes and read at each scrape."""

from collections.abc import Iterator

from mongoengine import get_db
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from config.transient_errors import is_transient
from documents.settling.failed_job import ALL_JOB_NAMES, FAILED_FILTER
from service.metrics.due import DueCollector


class StoredCollector(Collector):
    """A collector of pending work, failed jobs and incorrect counters.

    While the database is unavailable, the scrape must still succeed, because operators then need
    the metrics of the processes.
    """

    def describe(self) -> list[Metric]:
        """Return no metrics, because registering must not query the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        is_up, found = True, list[Metric]()
        try:
            found = [_failed(), *DueCollector().collect()]
        except PyMongoError as error:
            if not is_transient(error):
                raise
            is_up = False
        yield GaugeMetricFamily(
            "matchback_database_up", "1 if MongoDB answered this scrape, otherwise 0", value=is_up
        )
        yield from found


def _failed() -> Metric:
    failed = GaugeMetricFamily(
        "matchback_failed_jobs", "Number of records that could not be processed", labels=["kind"]
    )
    for kind in ALL_JOB_NAMES:
        failed.add_metric([kind], get_db()[kind].count_documents(FAILED_FILTER, hint="failed"))
    return failed
