"""gunicorn's settings, from ours. Threads pay: concurrent majority writes share journal flushes."""

import os
import shutil
import socket
import tempfile

from config import memory, metrics_files
from config.settings import settings

# Counters of all web processes together, for /metrics. Set before the client library is imported.
_metrics = tempfile.mkdtemp(prefix="matchback-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics

memory.few_arenas()

proc_name = "matchback serve"
wsgi_app = "service.app:start()"
bind = f"{settings().host}:{settings().port}"
worker_class = "service.web.worker.Worker"
# A listener for each process, among which the kernel deals connections out: of one for all, the
# first process to wake takes a burst of clients whole, and the others stand idle.
reuse_port = True
worker_connections = 4000  # in each process; slow ones cost memory, not threads
workers = settings().web_workers
threads = settings().web_threads
timeout = 30
graceful_timeout = 10
keepalive = 75  # longer than a load balancer's, so that it is never we who close first
# Nobody's word is taken for where a request comes from but a trusted proxy's.
forwarded_allow_ips = ",".join(map(str, settings().trusted_proxies))
forwarder_headers = ""
# Its default place is the home folder, where a second server would take it over.
control_socket_disable = True
accesslog = None
loglevel = "warning"


def on_starting(server):
    """Refuse an address that is in use: a second server would share it without a word."""
    family = socket.AF_INET6 if ":" in settings().host else socket.AF_INET
    with socket.create_server((settings().host, settings().port), family=family):
        pass


def post_fork(server, worker):
    """Keep a full disk from killing the process when it counts."""
    if not metrics_files.reserve():
        worker.log.warning("no space for metrics in %s: a process counts alone", _metrics)


def worker_exit(server, worker):
    """Let the last wake-ups go; what does not make it is due, and the sweep finds it."""
    from jobs.outbox import outbox

    outbox.flush(0.5)


def child_exit(server, worker):
    """What it counted stays; it counts no more."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)


def on_exit(server):
    """The counters end with the service."""
    shutil.rmtree(_metrics, ignore_errors=True)
