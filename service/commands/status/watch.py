"""Repeated queries of MongoDB and the queue, each with a short time-out."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from threading import Lock, Thread
from typing import Any

import pymongo
from pymongo import ReadPreference
from pymongo.errors import OperationFailure

from config import database
from config.settings import get_settings
from config.transient_errors import is_transient
from documents.concurrency.retries import describe_error
from documents.reports.health import ServiceHealth, measure_service_health
from documents.values.time import now
from service.commands.connected import AUTHENTICATION_ERROR_CODES
from service.commands.status.facts import (
    ActivityRates,
    Facts,
    MongoDBFacts,
    QueueFacts,
    ReplicaSetMember,
    compute_rates,
    read_members,
)
from service.commands.status.facts import find_support_end as until_of

FACTS_TIMEOUT_SECONDS = 3.0
MONGODB_TIMEOUT_SECONDS = 2.5  # shorter, so that the driver usually reports its error first
STATUS_REFRESH_SECONDS = 1.0
MAX_COMPARED_SAMPLES = 10
MONGODB_BAD_VALUE_CODE = 2  # MongoDB's error for a hint that names a missing index


class BackgroundQuery:
    """A query that runs in its own thread, so that a slow server does not block the others.

    While a query is running, `ask` starts no other: threads must not accumulate.
    """

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._answer: Future[Any] | None = None

    def ask(self) -> None:
        """Start the query unless it is still running."""
        if self._answer is None or self._answer.done():
            self._answer = Future()
            Thread(target=self._run, args=(self._answer,), daemon=True).start()

    def answer(self, seconds: float) -> Any:
        """Return the result within `seconds`.

        Raises: the query's own exception, or TimeoutError without a result.
        """
        assert self._answer
        return self._answer.result(max(0.0, seconds))

    def _run(self, answer: "Future[Any]") -> None:
        try:
            answer.set_result(self._ask())
        except Exception as error:  # noqa: BLE001  (the future passes it on)
            answer.set_exception(error)

    @property
    def is_open(self) -> bool:
        """True while the query is running."""
        return self._answer is not None and not self._answer.done()


class MongoDBConnection:
    """A MongoDB client, created on first use because reading the URI may query DNS."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._client: database.DatabaseClient | None = None

    def client(self) -> database.DatabaseClient:
        """Return the client, which has short time-outs."""
        with self._guard:
            if self._client is None:
                asking = int(MONGODB_TIMEOUT_SECONDS * database.MILLISECONDS_PER_SECOND)
                self._client = database.connect_database(
                    serverSelectionTimeoutMS=asking, connectTimeoutMS=asking, timeoutMS=asking
                )
            return self._client


class FactCollector:
    """An observer of all services. It keeps recent observations to compute rates."""

    def __init__(self) -> None:
        mongodb = MongoDBConnection()
        self._server = BackgroundQuery(lambda: _ask_server(mongodb.client()))
        self._service = BackgroundQuery(lambda: _ask_service(mongodb.client()))
        self._queue = BackgroundQuery(_ask_queue)
        self._looks: deque[tuple[datetime, ServiceHealth]] = deque(maxlen=MAX_COMPARED_SAMPLES + 1)

    def look(self) -> Facts:
        """Return the current facts within three seconds."""
        deadline = time.monotonic() + FACTS_TIMEOUT_SECONDS
        for question in (self._server, self._queue, self._service):
            question.ask()
        mongodb, away = _answer(self._server, deadline)
        length, no_queue = _answer(self._queue, deadline)
        service, error = _answer(self._service, deadline)
        at = now()
        return Facts(
            at,
            mongodb or MongoDBFacts(answers=False, reason=_reason(away)),
            QueueFacts(no_queue is None, _reason(no_queue), length),
            service,
            _reason(error),
            self._rates(at, service) if service else None,
            get_settings().recount_hours,
            has_indexes=not (
                isinstance(error, OperationFailure) and error.code == MONGODB_BAD_VALUE_CODE
            ),
        )

    def collect_with_rates(self) -> Facts:
        """Observe twice, so that the facts include rates."""
        facts = self.look()
        if facts.service is None:
            return facts
        time.sleep(STATUS_REFRESH_SECONDS)
        self._service.ask()
        service, _ = _answer(self._service, time.monotonic() + FACTS_TIMEOUT_SECONDS)
        if service is None:
            return facts
        at = now()
        return replace(facts, at=at, service=service, rates=self._rates(at, service))

    def _rates(self, at: datetime, service: ServiceHealth) -> ActivityRates | None:
        self._looks.append((at, service))
        since, before = self._looks[0]
        seconds = (at - since).total_seconds()
        return compute_rates(before, service, seconds) if seconds > 0 else None


def _answer(question: BackgroundQuery, deadline: float) -> tuple[Any, Exception | None]:
    try:
        return question.answer(deadline - time.monotonic()), None
    except Exception as error:  # noqa: BLE001  (the status shows it)
        return None, error


def _reason(error: Exception | None) -> str | None:
    """Return why a query failed, without the error's text, which may contain secrets or data."""
    if error is None:
        return None
    if isinstance(error, database.DeploymentError):
        return "it is a standalone server; Matchback needs a replica set"
    if getattr(error, "code", None) in AUTHENTICATION_ERROR_CODES:
        return "it rejects the user or password"
    if isinstance(error, TimeoutError) or is_transient(error):
        return "it does not respond"
    return describe_error(error)


def _ask_server(mongo: database.DatabaseClient) -> MongoDBFacts:
    anyone = ReadPreference.NEAREST
    with pymongo.timeout(MONGODB_TIMEOUT_SECONDS):
        hello = mongo.admin.command("hello", read_preference=anyone)
        version = mongo.admin.command("buildInfo", read_preference=anyone)["version"]
        is_router = hello.get("msg") == "isdbgrid"
        if not is_router and "setName" not in hello:
            raise database.DeploymentError
        primary = "a router" if is_router else hello.get("primary")
        try:
            others = read_members(mongo.admin.command("replSetGetStatus", read_preference=anyone))
        except OperationFailure:  # a managed service or a router does not allow it
            others = [ReplicaSetMember(host) for host in hello.get("hosts", ())]
    return MongoDBFacts(True, None, version, until_of(version), primary, others)


def _ask_service(_: database.DatabaseClient) -> ServiceHealth:
    """Query the service's health. Documents use the default client."""
    with pymongo.timeout(MONGODB_TIMEOUT_SECONDS):
        return measure_service_health()


def _ask_queue() -> int:
    from config.queue import huey

    return int(huey.pending_count())
