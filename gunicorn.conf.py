"""gunicorn's settings, derived from Matchback's own.

Threads pay off, because concurrent majority writes share journal flushes.
"""

import os
import shutil
import socket
import tempfile

from config import hosts, memory
from config.observability import metrics_files
from config.settings import get_settings

# Counters of all web processes together, for /metrics. Set before the client library is imported.
_metrics = tempfile.mkdtemp(prefix="matchback-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics

memory.limit_arenas()

proc_name = "matchback serve"
wsgi_app = "service.app:start()"
bind = f"{hosts.to_url_host(get_settings().host)}:{get_settings().port}"
worker_class = "service.server.worker.Worker"
# A listener for each process, so that the kernel spreads connections evenly. With one listener for
# all, the first process to wake takes a whole burst of clients.
reuse_port = True
workers = get_settings().web_workers
timeout = 30
graceful_timeout = 10
keepalive = 75  # longer than the load balancer's idle timeout
# Its default place is the home folder, where a second server would replace it.
control_socket_disable = True
accesslog = None
loglevel = "warning"


def on_starting(server):
    """Reject an address that is in use, because a second server would share it silently."""
    family = socket.AF_INET6 if ":" in get_settings().host else socket.AF_INET
    with socket.create_server((get_settings().host, get_settings().port), family=family):
        pass


def post_fork(server, worker):
    """Keep a full disk from killing the process when it counts."""
    if not metrics_files.reserve_metric_files():
        worker.log.warning("no space for metrics in %s: a process counts alone", _metrics)


def worker_exit(server, worker):
    """Send the last wake-ups. The sweep finds what they would have named."""
    from jobs.wakeups import wakeup_buffer

    wakeup_buffer.flush(0.5)


def child_exit(server, worker):
    """Keep the dead worker's counters but drop its gauges."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)


def on_exit(server):
    """Remove the counters' folder."""
    shutil.rmtree(_metrics, ignore_errors=True)
