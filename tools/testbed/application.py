"""The application for tests that call it without a network."""

from functools import cache
from typing import Any

import falcon
from falcon import testing

from config.settings import Settings, get_settings
from jobs import callbacks
from service.app import create_app


def build_client() -> testing.TestClient:
    """Return a client of the application with the present settings."""
    callbacks.connect_signals()
    return testing.TestClient(_create_app(get_settings()))


@cache
def _create_app(_: Settings) -> falcon.App[Any, Any]:
    """Create the application once for equal settings, because it compiles a hundred routes."""
    return create_app()
