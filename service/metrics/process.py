"""Metrics that each process counts itself. gunicorn.conf.py adds them up over all processes."""

import os
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

from config.observability.metrics_files import DIRECTORY

# A client may send any word, and each would be a series for ever.
METHODS = frozenset("DELETE GET HEAD OPTIONS PATCH POST PUT".split())
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter(
    "matchback_http_requests",
    "Requests that were answered; of a route, never of a path",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "matchback_http_request_duration_seconds",
    "From a whole request to its answer, without what the client takes to send and to read",
    ["method", "route"],
    buckets=REQUEST_BUCKETS,
)
RATE_REFUSED = Counter("matchback_rate_limited_requests", "Requests over the limit", ["kind"])
RATE_ALONE = Counter(
    "matchback_rate_unshared_requests", "Requests whose rate Redis was not there to compare"
)
SLOW_CLIENTS = Counter(
    "matchback_slow_connections", "Requests that came, or answers that were read, too slowly"
)
MALFORMED_REQUESTS = Counter(
    "matchback_malformed_requests", "Requests that were not well-formed HTTP"
)


def requested(method: str, route: str | None, status: int, seconds: float) -> None:
    """A request was answered. Microseconds: each takes it."""
    count, duration = _of(method if method in METHODS else "other", route or "none", status)
    count.inc()
    duration.observe(seconds)


@cache
def _of(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(method, route)


def process_metrics() -> CollectorRegistry:
    """The counters of this process, or of all where they share a folder."""
    if DIRECTORY not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
