"""The warehouse's own worker: a consumer of its own queue, and a sweep that needs no queue.

It is a separate process at low priority. So a warehouse that is unavailable or far behind uses no
thread and no processor time of the settling workers.
"""

import logging
import os

from setproctitle import setproctitle

from config.database import connect_worker
from config.observability import traces
from config.observability.log import configure_logging
from jobs.periodic.periodic import PeriodicThread
from jobs.process import WORKER_STOP_SECONDS, await_database
from jobs.warehouse.tasks import get_exporter, warehouse_huey

log = logging.getLogger(__name__)

WAREHOUSE_NICENESS = 10
EXPORT_SWEEP_SECONDS = 1.0


def main() -> int:
    """Export until SIGTERM or SIGINT. Finish the current batch first."""
    setproctitle("matchback warehouse")
    if hasattr(os, "nice"):
        os.nice(WAREHOUSE_NICENESS)
    configure_logging("warehouse")
    traces.start_tracing("warehouse")
    connect_worker()
    await_database()
    sweep = PeriodicThread("export", lambda: get_exporter().run() > 0, idle=EXPORT_SWEEP_SECONDS)
    consumer = warehouse_huey.create_consumer(
        workers=1,
        periodic=False,
        max_delay=1.0,
        graceful_signal="TERM",
        shutdown_timeout=WORKER_STOP_SECONDS,
    )
    get_exporter().set_stop_event(consumer.stop_flag)
    sweep.start()
    log.info("warehouse worker ready")
    consumer.run()
    sweep.stop(WORKER_STOP_SECONDS)
    log.info("warehouse worker stopped")
    return 0
