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
MONGODB_TIMEOUT_SECONDS = 2.5  # so that as a rule the driver gives up first, and says why
STATUS_REFRESH_SECONDS = 1.0
MAX_COMPARED_SAMPLES = 10
MONGODB_BAD_VALUE_CODE = 2  # what MongoDB answers to the hint of an index that is not there


class BackgroundQuery:
    """Asked in a thread of its own, so that who does not answer holds up nobody.

    While one is open, asking again waits for the same answer: threads must not pile up.
    """

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._answer: Future[Any] | None = None

    def ask(self) -> None:
        """Ask, unless that was done and there is no answer yet."""
        if self._answer is None or self._answer.done():
            self._answer = Future()
            Thread(target=self._run, args=(self._answer,), daemon=True).start()

    def answer(self, seconds: float) -> Any:
        """What was answered, or what went wrong, as an exception; TimeoutError when nothing was."""
        assert self._answer
        return self._answer.result(max(0.0, seconds))

    def _run(self, answer: "Future[Any]") -> None:
        try:
            answer.set_result(self._ask())
        except Exception as error:  # noqa: BLE001  (whoever waits for the answer gets it)
            answer.set_exception(error)

    @property
    def is_open(self) -> bool:
        """Whether the answer has not come yet."""
        return self._answer is not None and not self._answer.done()


class MongoDBConnection:
    """Made when it is first asked for: reading the address may ask the network."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._client: database.DatabaseClient | None = None

    def client(self) -> database.DatabaseClient:
        """The client, which gives up soon."""
        with self._guard:
            if self._client is None:
                asking = int(MONGODB_TIMEOUT_SECONDS * database.MILLISECONDS_PER_SECOND)
                self._client = database.connect_database(
                    serverSelectionTimeoutMS=asking, connectTimeoutMS=asking, timeoutMS=asking
                )
            return self._client


class FactCollector:
    """Looks at everything, and remembers the last looks, for the rates."""

    def __init__(self) -> None:
        mongodb = MongoDBConnection()
        self._server = BackgroundQuery(lambda: _ask_server(mongodb.client()))
        self._service = BackgroundQuery(lambda: _ask_service(mongodb.client()))
        self._queue = BackgroundQuery(_ask_queue)
        self._looks: deque[tuple[datetime, ServiceHealth]] = deque(maxlen=MAX_COMPARED_SAMPLES + 1)

    def look(self) -> Facts:
        """What is the case now, within three seconds."""
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
        """A look, and a second one at what moves, for the rates."""
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
    except Exception as error:  # noqa: BLE001  (it is shown)
        return None, error


def _reason(error: Exception | None) -> str | None:
    """Why there is no answer, without what an error's text may repeat."""
    if error is None:
        return None
    if isinstance(error, database.DeploymentError):
        return "it is a standalone server, and Matchback needs a replica set"
    if getattr(error, "code", None) in AUTHENTICATION_ERROR_CODES:
        return "it refuses the user or password"
    if isinstance(error, TimeoutError) or is_transient(error):
        return "it does not answer"
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
        except OperationFailure:  # it is not ours to ask: a managed service, or a router
            others = [ReplicaSetMember(host) for host in hello.get("hosts", ())]
    return MongoDBFacts(True, None, version, until_of(version), primary, others)


def _ask_service(_: database.DatabaseClient) -> ServiceHealth:
    """Documents find the client by themselves, once there is one."""
    with pymongo.timeout(MONGODB_TIMEOUT_SECONDS):
        return measure_service_health()


def _ask_queue() -> int:
    from config.queue import huey

    return int(huey.pending_count())
