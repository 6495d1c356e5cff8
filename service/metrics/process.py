"""Metrics that each process counts itself. gunicorn.conf.py sums them over all processes."""

import os
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

from config.observability.metrics_files import METRICS_FOLDER_VARIABLE
from documents.providers.registry import PROVIDERS
from documents.webhook_rejections import REJECTION_REASONS

# Clients can send any method. Unbounded label values would create unbounded series.
METRIC_METHODS = frozenset("DELETE GET HEAD OPTIONS PATCH POST PUT".split())
REQUEST_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter(
    "matchback_http_requests",
    "Number of answered requests, by route",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "matchback_http_request_duration_seconds",
    "Time from the complete request to its response, without the client's network time",
    ["method", "route"],
    buckets=REQUEST_BUCKETS_SECONDS,
)
RATE_LIMITED_REQUESTS = Counter(
    "matchback_rate_limited_requests", "Number of requests over the rate limit", ["kind"]
)
UNSHARED_RATE_REQUESTS = Counter(
    "matchback_rate_unshared_requests",
    "Number of requests counted by one process alone, because Redis was unavailable",
)
SLOW_CLIENTS = Counter(
    "matchback_slow_connections", "Number of connections closed because the client was too slow"
)
CUT_DOWNLOADS = Counter(
    "matchback_cut_downloads",
    "Number of exports and downloads that ended early because of an error or a stopping process",
)
MALFORMED_REQUESTS = Counter(
    "matchback_malformed_requests", "Number of requests with malformed HTTP"
)
WEBHOOK_REJECTIONS = Counter(
    "matchback_webhook_rejections",
    "Number of rejected webhook requests by provider and reason",
    ["provider", "reason"],
)
# Initialize the series, because Prometheus cannot compute an increase from an absent one.
for _provider in PROVIDERS:
    for _reason in REJECTION_REASONS:
        WEBHOOK_REJECTIONS.labels(_provider, _reason)


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count an answered request. This runs for each request, so it must take only microseconds."""
    count, duration = _of(method if method in METRIC_METHODS else "other", route or "none", status)
    count.inc()
    duration.observe(seconds)


@cache
def _of(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(method, route)


def collect_process_metrics() -> CollectorRegistry:
    """Return the metrics of this process, or of all processes if they share a directory."""
    if METRICS_FOLDER_VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
