"""Metrics from the database, for all processes together, read at each scrape."""

from collections.abc import Iterator

from mongoengine import get_db
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from config.transient_errors import is_transient
from documents.settling.failed_job import FAILED_FILTER, JOB_NAMES
from service.metrics.due import DueCollector


class StoredCollector(Collector):
    """What is due, what failed, what is off; while the database is away, that it is.

    Then above all one wants to see what the processes have counted themselves.
    """

    def describe(self) -> list[Metric]:
        """Nothing in advance: registering must not ask the database."""
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
            "matchback_database_up", "Whether MongoDB answered this scrape", value=is_up
        )
        yield from found


def _failed() -> Metric:
    failed = GaugeMetricFamily(
        "matchback_failed_jobs", "Records that could not be settled", labels=["kind"]
    )
    for kind in JOB_NAMES:
        failed.add_metric([kind], get_db()[kind].count_documents(FAILED_FILTER, hint="failed"))
    return failed
