"""The worker: Huey's consumer and the sweep, in one process. Run as many as are needed."""

import logging
import sys

from setproctitle import setproctitle

import jobs.tasks  # noqa: F401  (registers the tasks)
from config.database import check_deployment, connect
from config.log import configure_logging
from config.queue import huey
from config.settings import settings
from jobs.sweep import Sweeper

log = logging.getLogger(__name__)

STOP_SECONDS = 10


def main() -> int:
    """Work until SIGTERM or SIGINT; what is in hand is finished first."""
    setproctitle("matchback worker")
    configure_logging()
    mongo = connect()
    for warning in check_deployment(mongo):
        log.warning(warning)
    sweeper = Sweeper()
    consumer = huey.create_consumer(
        workers=settings().worker_threads,
        periodic=False,
        graceful_signal="TERM",
        shutdown_timeout=STOP_SECONDS,
    )
    sweeper.start()
    log.info("worker ready, %d threads", settings().worker_threads)
    consumer.run()
    sweeper.stop(STOP_SECONDS)
    log.info("worker stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
