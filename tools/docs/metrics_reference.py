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

PAGE = ROOT / "docs" / "reference" / "metrics.md"
ABOUT = """# Metrics

Made by `python -m tools.docs.metrics_reference`; a test holds it against the code.

`GET /metrics` of the web service tells what all web processes of a host counted together, and what
only the database knows, which is the same at each host: take the `max` over hosts of the latter. A
worker tells what it counted itself at `MATCHBACK_WORKER_METRICS_PORT` of `MATCHBACK_HOST`, besides
its memory and processor time (`process_*`, `python_*`). Neither asks for a key: keep both inside.
Counters begin anew when the processes do, as Prometheus expects. No label names an organization, a
record or a person. In `deploy/` are a configuration of Prometheus, alert rules with
their tests, and a dashboard for Grafana.

A histogram `x` is told as `x_bucket` (with the label `le`), `x_sum` and `x_count`.

"""
SECTIONS = {
    "What the database knows": """Asked at each scrape of the web service. Of a recount once one was
finished; of a warehouse where there is one. While MongoDB is away, the first alone.""",
    "What web processes count": "",
    "What is counted where it is done": """Mostly by workers; what does not reach the queue, by the
web processes.""",
}


class Row(NamedTuple):
    """A metric as it is told."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def stored() -> Iterator[Row]:
    """Of the connected database, with all that there may be in it."""
    SteadyRecount(last_off=0, last_finished_at=now()).save()
    with patch("documents.storage.export_outbox.is_on", lambda: True):
        for metric in StoredCollector().collect():
            yield _row(metric, tuple(metric.samples[0].labels))


def counted(module: ModuleType) -> Iterator[Row]:
    """In the order in which a module declares them."""
    for metric in vars(module).values():
        if isinstance(metric, MetricWrapperBase):
            # A metric tells its labels only with a value.
            (described,) = metric.describe()
            yield _row(described, tuple(metric._labelnames))


def _row(metric: Metric, labels: tuple[str, ...]) -> Row:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return Row(name, metric.type, labels, metric.documentation)


def rows() -> dict[str, list[Row]]:
    """All metrics, by where they come from."""
    found = (stored(), counted(web_metrics), counted(own_metrics))
    return dict(zip(SECTIONS, map(list, found), strict=True))


def page() -> str:
    """The reference, of the connected database."""
    text = ABOUT
    for title, listed in rows().items():
        text += f"## {title}\n\n"
        text += f"{SECTIONS[title]}\n\n" if SECTIONS[title] else ""
        text += "| name | type | labels | what it tells |\n| --- | --- | --- | --- |\n"
        for row in listed:
            labels = ", ".join(f"`{label}`" for label in row.labels)
            text += f"| `{row.name}` | {row.type} | {labels} | {row.help} |\n"
        text += "\n"
    return text.rstrip() + "\n"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    nowhere = Settings(mongodb_uri="mongodb://mock/matchback")
    database.connect(nowhere, mongo_client_class=mongomock.MongoClient)
    PAGE.write_text(page())
