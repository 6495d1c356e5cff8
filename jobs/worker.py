"""The worker process: Huey's consumer, the sweep, and periodic work. Run as many as needed."""

import logging

from prometheus_client import start_http_server
from setproctitle import setproctitle

from config import memory
from config.database import connect_worker
from config.observability import traces
from config.observability.log import configure_logging
from config.settings import settings
from documents.migrations.migration import pending
from documents.migrations.steps import MIGRATIONS
from documents.storage import shutdown
from jobs.callbacks import wake_exporter_when_noted
from jobs.periodic import steps
from jobs.periodic.periodic import Periodic
from jobs.process import STOP_SECONDS, await_database
from jobs.sweep import Sweeper
from jobs.tasks import huey

log = logging.getLogger(__name__)


def main() -> int:
    """Work until SIGTERM or SIGINT; what is in hand is finished first."""
    setproctitle("matchback worker")
    configure_logging("worker")
    traces.start("worker")
    memory.few_arenas()
    show_metrics()
    connect_worker()
    await_database()
    wake_exporter_when_noted()
    tell_of_migrations()
    sweeper = Sweeper()
    consumer = huey.create_consumer(
        workers=settings().worker_threads,
        periodic=False,
        max_delay=1.0,  # between tries while Redis is away: it must be noticed when it is back
        graceful_signal="TERM",
        shutdown_timeout=STOP_SECONDS,
    )
    threads: list[Sweeper | Periodic] = [sweeper, *steps.make_threads()]
    for thread in threads:
        thread.start()
    log.info("worker ready, %d threads", settings().worker_threads)
    memory.spare_collector()
    # At the signal: jobs that last would else be waited for until they are cut off.
    shutdown.at(consumer.stop_flag)
    consumer.run()
    for thread in threads:
        thread.stop(STOP_SECONDS)
    log.info("worker stopped")
    return 0


def show_metrics() -> None:
    """Let Prometheus ask this process, where that is set. Nobody's work depends on it."""
    port = settings().worker_metrics_port
    if not port:
        return
    try:
        start_http_server(port, settings().host)
    except OSError as error:
        log.error("metrics cannot be told at %s:%d (%s)", settings().host, port, error.strerror)


def tell_of_migrations() -> None:
    """This version works on records of earlier ones, but some figures are short until then."""
    if waiting := pending(MIGRATIONS):
        log.warning("%d migrations are pending: run «matchback migrate»", len(waiting))
