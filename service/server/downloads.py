"""Downloads in the event loop: wait for the client without a thread, make pieces in a few threads.

A download has its own threads, so that it cannot delay the start of ordinary requests.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from config.transient_errors import is_transient
from service.api.download import Download
from service.metrics.process import CUT_DOWNLOADS
from service.server.asgi import Receive, Send
from service.server.stream import await_end

log = logging.getLogger(__name__)

# Two threads use two databases' round trips. More would only compete with ordinary requests.
MAX_DOWNLOAD_THREADS = 2

_threads = ThreadPoolExecutor(MAX_DOWNLOAD_THREADS, "downloads")
_running: set["asyncio.Task[bool]"] = set()


async def send_download(download: Download, receive: Receive, send: Send) -> bool:
    """Send the pieces. Return whether the response is complete.

    `send` waits until the client has read most of what was sent before.
    """
    sending = asyncio.create_task(_send_pieces(download, receive, send))
    _running.add(sending)
    try:
        return await sending
    except asyncio.CancelledError:
        if not sending.cancelled():
            raise
        CUT_DOWNLOADS.inc()
        return False
    except Exception as error:
        CUT_DOWNLOADS.inc()
        log.log(
            logging.WARNING if is_transient(error) else logging.ERROR,
            "a download was cut off",
            exc_info=None if is_transient(error) else error,
        )
        return False
    finally:
        _running.discard(sending)
        # Closing can wait for a piece and delete files.
        _threads.submit(download.close)


async def _send_pieces(download: Download, receive: Receive, send: Send) -> bool:
    loop = asyncio.get_running_loop()
    gone = loop.create_task(await_end(receive))
    try:
        while not gone.done():
            piece = await loop.run_in_executor(_threads, download.take)
            if piece is None:
                return True
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        return False
    finally:
        gone.cancel()


def cut_downloads() -> None:
    """Cut off all downloads because the process stops."""
    for sending in list(_running):
        sending.cancel()
