"""The worker process: Huey's consumer, the sweep, and periodic work. Run as many as needed."""

import logging
import time

from prometheus_client import start_http_server
from pymongo.errors import PyMongoError
from setproctitle import setproctitle

import jobs.tasks
import jobs.warehouse.tasks  # noqa: F401  (wakes the exporter)
from config import memory
from config.database import check_deployment, client, connect_worker
from config.observability import traces
from config.observability.log import configure_logging
from config.queue import huey
from config.settings import settings
from config.transient_errors import is_passing
from documents.migrations.migration import pending
from documents.migrations.steps import MIGRATIONS
from documents.storage import shutdown
from jobs.periodic import audit as auditing
from jobs.periodic import recount as recounting
from jobs.periodic import relabel as relabelling
from jobs.periodic import retention
from jobs.periodic.periodic import Steady
from jobs.sweep import Sweeper

log = logging.getLogger(__name__)

STOP_SECONDS = 10
PAUSE_SECONDS = 1


def main() -> int:
    """Work until SIGTERM or SIGINT; what is in hand is finished first."""
    setproctitle("matchback worker")
    configure_logging("worker")
    traces.start("worker")
    memory.few_arenas()
    show_metrics()
    connect_worker()
    await_database()
    tell_of_migrations()
    sweeper = Sweeper()
    consumer = huey.create_consumer(
        workers=settings().worker_threads,
        periodic=False,
        max_delay=1.0,  # between tries while Redis is away: it must be noticed when it is back
        graceful_signal="TERM",
        shutdown_timeout=STOP_SECONDS,
    )
    upkeep = [
        Steady("recount", recounting.step),
        Steady("relabel", relabelling.step),
        Steady("retention", retention.step),
        Steady("audit", auditing.step, idle=PAUSE_SECONDS),
    ]
    threads: list[Sweeper | Steady] = [sweeper, *upkeep]
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


def await_database() -> None:
    """A database that is away at the start is waited for, as it would be later."""
    while True:
        try:
            for warning in check_deployment(client()):
                log.warning(warning)
        except PyMongoError as error:
            if not is_passing(error):
                raise
            log.warning("the database is away; waiting for it")
            time.sleep(PAUSE_SECONDS)
        else:
            return
