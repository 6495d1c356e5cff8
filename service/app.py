"""The WSGI application: Falcon with Matchback's routes, errors and middleware."""

from typing import Any

import falcon
import orjson
from falcon.media import JSONHandler

from config.database import connect_web
from config.observability import traces
from config.observability.log import configure_logging
from config.settings import settings
from jobs import callbacks
from service.api import problems
from service.dashboard.failures import DashboardProblems
from service.middleware.access_log import request_log
from service.middleware.request import middleware
from service.routes import PAGES, ROUTES
from service.server.bridge import Bridge


def create_app(*outermost: Any) -> falcon.App[Any, Any]:
    """Return the application on the connected database. Saving a document schedules its jobs.

    Args:
        outermost: middleware that sees each request first and each response last.
    """
    callbacks.connect()
    app = falcon.App(middleware=[*outermost, DashboardProblems(), *middleware(settings())])
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(dumps=orjson.dumps)
    app.resp_options.default_media_type = falcon.MEDIA_JSON
    app.req_options.strip_url_path_trailing_slash = True
    for error, handler in problems.HANDLERS:
        app.add_error_handler(error, handler)
    for path, resource, suffix in ROUTES + PAGES:
        app.add_route(path, resource, suffix=suffix)
    return app


def start() -> Bridge:
    """Return the application that each gunicorn worker serves."""
    configure_logging("web")
    traces.start("web")
    connect_web()
    return Bridge(create_app(*request_log()), settings().web_threads)
