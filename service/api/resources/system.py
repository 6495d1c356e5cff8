"""Health, readiness, metrics and the OpenAPI document."""

from collections.abc import Callable
from functools import cached_property
from typing import Literal

import falcon
import orjson
from mongoengine import get_connection
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pymongo.errors import PyMongoError

from config.database import DeploymentError, check_deployment
from service.api.docs_page import DOCS_PAGE_CSP, render_docs_page
from service.api.fields import ResponseModel
from service.api.openapi import Routes, build_openapi_document
from service.api.operation import answer_model, operation
from service.metrics.process import collect_process_metrics
from service.metrics.stored import StoredCollector


class HealthOut(ResponseModel):
    status: Literal["ok"]


class ReadinessOut(ResponseModel):
    status: Literal["ready", "not ready"]
    reason: str | None = None
    warnings: list[str] = []


class Health:
    """/healthz: the process responds."""

    @operation("Check that the process is alive", answers={200: HealthOut})
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer_model(resp, HealthOut, {"status": "ok"})


class Readiness:
    """/readyz: the service can work.

    It works without Redis, with a delay, so Redis is not checked.
    """

    @operation("Check that the service is ready", answers={200: ReadinessOut, 503: ReadinessOut})
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        try:
            warnings = check_deployment(get_connection())
        except DeploymentError as error:
            reason = str(error)
        except PyMongoError:
            reason = "The database is unavailable."
        else:
            answer_model(resp, ReadinessOut, {"status": "ready", "warnings": warnings})
            return
        answer_model(resp, ReadinessOut, {"status": "not ready", "reason": reason}, 503)


class Metrics:
    """/metrics: Prometheus metrics of the database, and of all web processes of the host."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(StoredCollector())

    @operation("Get Prometheus metrics", answers={200: "text/plain"})
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = CONTENT_TYPE_LATEST
        resp.data = generate_latest(self._registry) + generate_latest(collect_process_metrics())


class OpenApi:
    """/openapi.json"""

    def __init__(self, routes: Callable[[], Routes]) -> None:
        self._routes = routes

    @operation("Get the OpenAPI document", answers={200: "application/json"}, public=True)
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type, resp.data = falcon.MEDIA_JSON, self._document

    @cached_property
    def _document(self) -> bytes:
        return orjson.dumps(build_openapi_document(self._routes()))


class Docs:
    """/docs"""

    def __init__(self, routes: Callable[[], Routes]) -> None:
        self._routes = routes

    @operation("Get the API documentation as HTML", answers={200: "text/html"}, public=True)
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Content-Security-Policy", DOCS_PAGE_CSP)
        resp.data = self._page

    @cached_property
    def _page(self) -> bytes:
        return render_docs_page(build_openapi_document(self._routes())).encode()
