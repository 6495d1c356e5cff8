"""Metrics that Prometheus scrapes, and those that the rules and the dashboard in deploy/ use."""

import json
import re
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tools.testbed.readme import ROOT

PROMETHEUS_FOLDER = ROOT / "deploy" / "prometheus"
GRAFANA_DASHBOARD = ROOT / "deploy" / "grafana" / "matchback.json"


class ScrapedSamples:
    """The samples of a scrape."""

    def __init__(self, metrics: Any) -> None:
        self.samples = [sample for metric in metrics for sample in metric.samples]

    @classmethod
    def by(cls, url: str) -> "ScrapedSamples":
        text = httpx.get(f"{url}/metrics", timeout=30).raise_for_status().text
        return cls(text_string_to_metric_families(text))

    def value(self, name: str, **labels: str) -> float:
        """Return the sum over all samples with this name and these labels."""
        wanted = labels.items()
        found = [one for one in self.samples if one.name == name and wanted <= one.labels.items()]
        return float(sum(one.value for one in found))

    def names(self) -> set[str]:
        return {sample.name for sample in self.samples}


def list_expressions() -> list[str]:
    """Return all expressions that the dashboard sends to Prometheus."""
    dashboard = json.loads(GRAFANA_DASHBOARD.read_text())
    told = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    told += [each["expr"] for each in dashboard["annotations"]["list"]]
    return [expression.replace("$__rate_interval", "5m") for expression in told]


def list_used_metrics() -> set[str]:
    """Return the names of the metrics that the dashboard or a rule uses."""
    alerts = (PROMETHEUS_FOLDER / "alerts.yml").read_text()
    rules = re.findall(r"expr: \|?(.*?)\n +(?:for|labels):", alerts, re.DOTALL)
    assert len(rules) == alerts.count("- alert:")
    text = re.sub(r'"[^"]*"', "", "\n".join([*list_expressions(), *rules]))
    return set(re.findall(r"\b(?:matchback_\w+|process_\w+|up(?={)|ALERTS)", text))
