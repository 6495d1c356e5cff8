"""docs/reference/metrics.md, generated from the metrics: python -m tools.docs.metrics_reference."""

import argparse
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple
from unittest.mock import patch

import mongomock
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from config import database
from config.observability import metrics as own_metrics
from config.settings import Settings
from documents.recount.background import SteadyRecount
from documents.values.time import now
from service.metrics import process as web_metrics
from service.metrics.stored import StoredCollector
from tools.testbed.readme import ROOT

METRICS_PAGE = ROOT / "docs" / "reference" / "metrics.md"
METRICS_PAGE_INTRO = """# Metrics

`python -m tools.docs.metrics_reference` generates this page from the metrics.
[Monitor a deployment](../how-to/monitor.md) explains how to collect them.

- `GET /metrics` of the web service exposes the sums of all web processes of a host, and the metrics
  of the database. The latter are the same on each host, so use `max` over hosts.
- Each worker exposes its own metrics at `MATCHBACK_WORKER_METRICS_PORT` of `MATCHBACK_HOST`, with
  its memory and processor time (`process_*`, `python_*`). The sender does so at
  `MATCHBACK_SENDER_METRICS_PORT`.

Neither endpoint asks for a key, so keep both inside your network. Counters restart with their
process, as Prometheus expects. No label identifies an organization, a record or a person.

A histogram `x` consists of `x_bucket` (with the label `le`), `x_sum` and `x_count`.

"""
METRICS_SECTIONS = {
    "Metrics of the database": """The web service reads these from MongoDB at each scrape. Metrics
of the recount appear after the first one. Metrics of the warehouse and of mails appear if you use
these. While MongoDB is unavailable, only the first metric appears.""",
    "Metrics of web processes": "",
    "Metrics of jobs": """Workers count most of these. The sender counts attempts and mails. Web
processes count wake-ups that do not reach the queue.""",
}


class MetricRow(NamedTuple):
    """A metric and its description."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def list_stored_metrics() -> Iterator[MetricRow]:
    """Yield the metrics of the connected database, including the optional ones."""
    SteadyRecount(last_off=0, last_finished_at=now()).save()
    with (
        patch("documents.storage.export_outbox.has_warehouse", lambda: True),
        patch("service.metrics.mails.has_mail_server", lambda: True),
    ):
        for metric in StoredCollector().collect():
            yield _row(metric, tuple(metric.samples[0].labels))


def list_counted_metrics(module: ModuleType) -> Iterator[MetricRow]:
    """Yield a module's metrics, in the order of their declaration."""
    for metric in vars(module).values():
        if isinstance(metric, MetricWrapperBase):
            # An undescribed metric shows its labels only once it has a value.
            (described,) = metric.describe()
            yield _row(described, tuple(metric._labelnames))


def _row(metric: Metric, labels: tuple[str, ...]) -> MetricRow:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return MetricRow(name, metric.type, labels, metric.documentation)


def list_metrics() -> dict[str, list[MetricRow]]:
    """Return all metrics, by their origin."""
    found = (
        list_stored_metrics(),
        list_counted_metrics(web_metrics),
        list_counted_metrics(own_metrics),
    )
    return dict(zip(METRICS_SECTIONS, map(list, found), strict=True))


def build_page() -> str:
    """Return the page, with the metrics of the connected database."""
    text = METRICS_PAGE_INTRO
    for title, listed in list_metrics().items():
        text += f"## {title}\n\n"
        text += f"{METRICS_SECTIONS[title]}\n\n" if METRICS_SECTIONS[title] else ""
        text += "| name | type | labels | meaning |\n| --- | --- | --- | --- |\n"
        for row in listed:
            labels = ", ".join(f"`{label}`" for label in row.labels)
            text += f"| `{row.name}` | {row.type} | {labels} | {row.help} |\n"
        text += "\n"
    return text.rstrip() + "\n"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    nowhere = Settings(mongodb_uri="mongodb://mock/matchback")
    database.connect_database(nowhere, mongo_client_class=mongomock.MongoClient)
    METRICS_PAGE.write_text(build_page())
