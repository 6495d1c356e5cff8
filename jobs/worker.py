"""The worker process: Huey's consumer, the sweep, and periodic work. Run as many as needed."""

import logging

from prometheus_client import start_http_server
from setproctitle import setproctitle

from config import memory
from config.database import connect_worker
from config.observability import traces
from config.observability.log import configure_logging
from config.settings import get_settings
from documents.migrations.migration import list_pending
from documents.migrations.steps import MIGRATIONS
from documents.storage import shutdown
from jobs.callbacks import wake_exporter_when_noted
from jobs.periodic import steps
from jobs.periodic.periodic import PeriodicThread
from jobs.process import WORKER_STOP_SECONDS, await_database
from jobs.sweep import Sweeper
from jobs.tasks import huey

log = logging.getLogger(__name__)


def main() -> int:
    """Work until SIGTERM or SIGINT; what is in hand is finished first."""
    setproctitle("matchback worker")
    configure_logging("worker")
    traces.start_tracing("worker")
    memory.limit_arenas()
    serve_metrics()
    connect_worker()
    await_database()
    wake_exporter_when_noted()
    warn_of_migrations()
    sweeper = Sweeper()
    consumer = huey.create_consumer(
        workers=get_settings().worker_threads,
        periodic=False,
        max_delay=1.0,  # between tries while Redis is away: it must be noticed when it is back
        graceful_signal="TERM",
        shutdown_timeout=WORKER_STOP_SECONDS,
    )
    threads: list[Sweeper | PeriodicThread] = [sweeper, *steps.make_threads()]
    for thread in threads:
        thread.start()
    log.info("worker ready, %d threads", get_settings().worker_threads)
    memory.tune_collector()
    # At the signal: jobs that last would else be waited for until they are cut off.
    shutdown.set_stop_event(consumer.stop_flag)
    consumer.run()
    for thread in threads:
        thread.stop(WORKER_STOP_SECONDS)
    log.info("worker stopped")
    return 0


def serve_metrics() -> None:
    """Let Prometheus ask this process, where that is set. Nobody's work depends on it."""
    port = get_settings().worker_metrics_port
    if not port:
        return
    try:
        start_http_server(port, get_settings().host)
    except OSError as error:
        log.error("metrics cannot be told at %s:%d (%s)", get_settings().host, port, error.strerror)


def warn_of_migrations() -> None:
    """This version works on records of earlier ones, but some figures are short until then."""
    if waiting := list_pending(MIGRATIONS):
        log.warning("%d migrations are pending: run «matchback migrate»", len(waiting))
