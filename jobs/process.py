"""Start-up code that all worker processes share."""

import logging
import time

from prometheus_client import start_http_server
from pymongo.errors import PyMongoError

from config.database import check_deployment, get_client
from config.observability.outage import Outage
from config.settings import get_settings
from config.transient_errors import is_transient

log = logging.getLogger(__name__)

WORKER_STOP_SECONDS = 10
DATABASE_POLL_SECONDS = 1.0


def await_database() -> None:
    """Wait until MongoDB answers, because it may be unavailable when the process starts.

    Raises:
        DeploymentError: MongoDB is a standalone server.
    """
    outage = Outage(log.warning, log.info)
    while True:
        try:
            warnings = check_deployment(get_client())
        except PyMongoError as error:
            if not is_transient(error):
                raise
            outage.begin("the database is unavailable; waiting for it")
            time.sleep(DATABASE_POLL_SECONDS)
        else:
            break
    outage.end("the database answers")
    for warning in warnings:
        log.warning(warning)


def serve_metrics(port: int) -> None:
    """Serve Prometheus metrics, unless the port is 0. A failure does not stop the process."""
    if not port:
        return
    try:
        start_http_server(port, get_settings().host)
    except OSError as error:
        log.error("metrics: cannot listen on %s:%d (%s)", get_settings().host, port, error.strerror)
