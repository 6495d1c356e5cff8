"""gunicorn's settings, derived from Matchback's own.

Threads are worthwhile, because concurrent majority writes share journal flushes.
"""

import os
import shutil
import socket

from config import hosts, memory
from config.observability import metrics_files
from config.settings import get_settings

# /metrics needs the counters of all web processes. The client library chooses this mode when the
# worker class imports it, and reads the path in each process.
_metrics = metrics_files.make_metrics_folder()
_has_space = metrics_files.reserve_metric_files()

_NO_SPACE_MESSAGE = "metrics: no disk space in %s; counts stay in memory"

memory.limit_arenas()

proc_name = "matchback serve"
wsgi_app = "service.app:start()"
bind = f"{hosts.to_url_host(get_settings().host)}:{get_settings().port}"
worker_class = "service.server.worker.Worker"
# Each process has its own listener, so that the kernel spreads connections evenly. With a shared
# listener, the first process to wake accepts a whole burst of clients.
reuse_port = True
workers = get_settings().web_workers
timeout = 30
graceful_timeout = 10
keepalive = 75  # longer than the load balancer's idle timeout
# By default, the socket is in the home folder, where a second server would replace it.
control_socket_disable = True
accesslog = None
loglevel = "warning"


def on_starting(server):
    """Reject an address that is in use, because a second server would share it silently."""
    if not _has_space:
        server.log.warning(_NO_SPACE_MESSAGE, _metrics)
    family = socket.AF_INET6 if ":" in get_settings().host else socket.AF_INET
    with socket.create_server((get_settings().host, get_settings().port), family=family):
        pass


def post_fork(server, worker):
    """Reserve disk space for counters, because a full disk would kill the process.

    The application loads next, without garbage collection.
    """
    memory.pause_collector()
    if not metrics_files.reserve_metric_files():
        worker.log.warning(_NO_SPACE_MESSAGE, _metrics)


def worker_exit(server, worker):
    """Send the last wake-ups. If this fails, the sweep finds the records."""
    from jobs.wakeups import wakeup_buffer

    wakeup_buffer.flush(0.5)


def child_exit(server, worker):
    """Keep the dead worker's counters but drop its gauges."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)
    metrics_files.forget_memory_files(worker.pid)


def on_exit(server):
    """Remove the folder of the counters."""
    shutil.rmtree(_metrics, ignore_errors=True)
    metrics_files.forget_memory_files(os.getpid())
