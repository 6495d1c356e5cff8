"""The WSGI application: Falcon with Matchback's routes, errors and middleware."""

from typing import Any

import falcon
import orjson
from falcon.media import JSONHandler

from config.database import connect_web
from config.observability import traces
from config.observability.log import configure_logging
from config.settings import get_settings
from jobs import callbacks
from service.api import problems
from service.dashboard.failures import DashboardProblems
from service.middleware.access_log import build_log_middleware
from service.middleware.request import build_middleware
from service.routes import API_ROUTES, DASHBOARD_ROUTES
from service.server.bridge import Bridge


def create_app(*outermost: Any) -> falcon.App[Any, Any]:
    """Return the application on the connected database. Saving a document schedules its jobs.

    Args:
        outermost: middleware that sees each request first and each response last.
    """
    callbacks.connect_signals()
    app = falcon.App(
        middleware=[*outermost, DashboardProblems(), *build_middleware(get_settings())]
    )
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(dumps=orjson.dumps)
    app.resp_options.default_media_type = falcon.MEDIA_JSON
    app.req_options.strip_url_path_trailing_slash = True
    for error, handler in problems.ERROR_HANDLERS:
        app.add_error_handler(error, handler)
    for path, resource, suffix in API_ROUTES + DASHBOARD_ROUTES:
        app.add_route(path, resource, suffix=suffix)
    return app


def start() -> Bridge:
    """Return the application that each gunicorn worker serves."""
    configure_logging("web")
    traces.start_tracing("web")
    connect_web()
    return Bridge(create_app(*build_log_middleware()), get_settings().web_threads)
