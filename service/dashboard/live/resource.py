"""/dashboard/live: the resource that answers with a stream and frees its thread."""

from functools import partial

import falcon

from service.dashboard.live.hub import Hub, SessionFilter, TooManyPages, keep_all_sessions
from service.dashboard.live.viewer import Viewer
from service.dashboard.live.watch import LiveQuery, read_watch
from service.dashboard.page import page
from service.server.stream import Stream, TooManyStreams, hand_over_stream

EVENT_STREAM_MEDIA_TYPE = "text/event-stream"
LIVE_RETRY_AFTER_SECONDS = 10
EVENT_STREAM_HEADERS = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # or nginx would buffer the events
}


class Live:
    """Notify a page when a record that it watches has changed."""

    def __init__(
        self, still_valid: SessionFilter = keep_all_sessions, hub: Hub | None = None
    ) -> None:
        self._hub = hub or Hub(still_valid)

    @page(query=LiveQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: LiveQuery) -> None:
        watched = read_watch(query.watch, req.context.organization_id)
        stream = _open()
        try:
            # The stream ends when the browser shows another organization.
            shown = (req.context.session_id, req.context.organization_id)
            viewer = Viewer(shown, watched, stream.send, stream.end)
            self._hub.subscribe(viewer)
        except TooManyPages:
            stream.close()
            raise _full() from None
        except BaseException:
            stream.close()
            raise
        stream.when_closed(partial(self._hub.unsubscribe, viewer))
        resp.content_type = EVENT_STREAM_MEDIA_TYPE
        resp.set_headers(EVENT_STREAM_HEADERS)
        if getattr(req.context, "is_head", False):
            stream.close()
        else:
            resp.stream = hand_over_stream(req.env, stream)


def _open() -> Stream:
    try:
        return Stream()
    except TooManyStreams:
        raise _full() from None


def _full() -> falcon.HTTPServiceUnavailable:
    return falcon.HTTPServiceUnavailable(
        description="Too many live dashboard pages are open. Close one and try again.",
        retry_after=LIVE_RETRY_AFTER_SECONDS,
    )
