"""The sender's process. A second one can run and take over, because a lease lets one send."""

import asyncio
import logging
import signal

import uvloop
from pymongo.errors import PyMongoError
from setproctitle import setproctitle

from config.database import connect_worker
from config.observability import traces
from config.observability.log import configure_logging
from config.observability.outage import Outage
from config.settings import get_settings
from config.transient_errors import is_transient
from documents.concurrency.lease import hold_lease
from documents.concurrency.retries import describe_error
from jobs.process import WORKER_STOP_SECONDS, await_database, serve_metrics
from jobs.sender.lanes import limit_lane_requests, open_lanes
from jobs.sender.mail import MailThread
from jobs.sender.sender import Sender

log = logging.getLogger(__name__)

SENDER_LEASE = "sender"
LEASE_POLL_SECONDS = 1.0


def main() -> int:
    """Send until SIGTERM or SIGINT. Finish the current requests first."""
    setproctitle("matchback sender")
    configure_logging("sender")
    traces.start_tracing("sender")
    serve_metrics(get_settings().sender_metrics_port)
    connect_worker()
    await_database()
    mails = MailThread()
    mails.start()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_send_until_stopped())
    mails.stop(WORKER_STOP_SECONDS)
    log.info("sender stopped")
    return 0


async def _send_until_stopped() -> None:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    outage = Outage(log.warning, log.info)
    log.info("sender ready")
    while not stopping.is_set():
        try:
            await send_while_holding(stopping)
            outage.end("MongoDB answers again")
        except PyMongoError as error:
            if not is_transient(error):
                raise
            outage.begin(f"events wait, because MongoDB fails ({describe_error(error)})")
        if not stopping.is_set():
            await asyncio.wait([asyncio.create_task(stopping.wait())], timeout=LEASE_POLL_SECONDS)


async def send_while_holding(stopping: asyncio.Event) -> None:
    """Send while this process holds the lease. Return at once if another process holds it."""
    with hold_lease(SENDER_LEASE) as holding:
        if holding is None:
            return
        lanes = open_lanes(get_settings().webhook_private_networks, limit_lane_requests())
        try:
            await Sender(lanes).run(stopping, holding.is_lost)
        finally:
            await lanes.close()
