"""What each process counts of its own. gunicorn.conf.py has them added up over all of them."""

import os

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

RATE_REFUSED = Counter("matchback_rate_limited_requests", "Requests over the limit", ["kind"])
RATE_ALONE = Counter(
    "matchback_rate_unshared_requests", "Requests whose rate Redis was not there to compare"
)
SLOW_CLIENTS = Counter(
    "matchback_slow_connections", "Connections closed for a request that did not come in time"
)
MALFORMED_REQUESTS = Counter("matchback_malformed_requests", "What came and was no HTTP request")


def process_metrics() -> CollectorRegistry:
    """The counters of this process, or of all where they share a folder."""
    if DIRECTORY not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
