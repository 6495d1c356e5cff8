"""Metrics that each process counts itself. gunicorn.conf.py adds them up over all processes."""

import os
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

from config.observability.metrics_files import METRICS_FOLDER_VARIABLE

# A client may send any word, and each would be a series for ever.
METRIC_METHODS = frozenset("DELETE GET HEAD OPTIONS PATCH POST PUT".split())
REQUEST_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter(
    "matchback_http_requests",
    "Requests that were answered; of a route, never of a path",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "matchback_http_request_duration_seconds",
    "From a whole request to its answer, without what the client takes to send and to read",
    ["method", "route"],
    buckets=REQUEST_BUCKETS_SECONDS,
)
RATE_LIMITED_REQUESTS = Counter(
    "matchback_rate_limited_requests", "Requests over the limit", ["kind"]
)
UNSHARED_RATE_REQUESTS = Counter(
    "matchback_rate_unshared_requests", "Requests whose rate Redis was not there to compare"
)
SLOW_CLIENTS = Counter(
    "matchback_slow_connections", "Requests that came, or answers that were read, too slowly"
)
MALFORMED_REQUESTS = Counter(
    "matchback_malformed_requests", "Requests that were not well-formed HTTP"
)


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """A request was answered. Microseconds: each takes it."""
    count, duration = _of(method if method in METRIC_METHODS else "other", route or "none", status)
    count.inc()
    duration.observe(seconds)


@cache
def _of(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(method, route)


def collect_process_metrics() -> CollectorRegistry:
    """The counters of this process, or of all where they share a folder."""
    if METRICS_FOLDER_VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
