"""Worker process: Huey's consumer, the sweep, and periodic work. Run as many as needed."""

import logging

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
from jobs.process import WORKER_STOP_SECONDS, await_database, serve_metrics
from jobs.sweep import Sweeper
from jobs.tasks import huey

log = logging.getLogger(__name__)


def main() -> int:
    """Work until SIGTERM or SIGINT. Finish the current work first."""
    setproctitle("matchback worker")
    configure_logging("worker")
    traces.start_tracing("worker")
    memory.limit_arenas()
    serve_metrics(get_settings().worker_metrics_port)
    connect_worker()
    await_database()
    wake_exporter_when_noted()
    warn_of_migrations()
    sweeper = Sweeper()
    consumer = huey.create_consumer(
        workers=get_settings().worker_threads,
        periodic=False,
        # between attempts while Redis is unavailable, so that the worker soon notices its return
        max_delay=1.0,
        graceful_signal="TERM",
        shutdown_timeout=WORKER_STOP_SECONDS,
    )
    threads: list[Sweeper | PeriodicThread] = [sweeper, *steps.make_threads()]
    for thread in threads:
        thread.start()
    log.info("worker ready, %d threads", get_settings().worker_threads)
    memory.tune_collector()
    # Set at the signal. Otherwise, the process would wait for long jobs until the time limit.
    shutdown.set_stop_event(consumer.stop_flag)
    consumer.run()
    for thread in threads:
        thread.stop(WORKER_STOP_SECONDS)
    log.info("worker stopped")
    return 0


def warn_of_migrations() -> None:
    """Log a warning about pending migrations. Until they end, some counters are too low."""
    if waiting := list_pending(MIGRATIONS):
        log.warning("%d migrations are pending; run `matchback migrate`", len(waiting))
