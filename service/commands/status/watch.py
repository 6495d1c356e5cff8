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
from config.settings import settings
from config.transient_errors import is_passing
from documents.concurrency.retries import describe
from documents.reports.health import ServiceHealth, service_health
from documents.values.time import now
from service.commands.connected import NO_LEAVE
from service.commands.status.facts import Facts, Member, MongoDB, Queue, Rates, members, rates
from service.commands.status.facts import supported_until as until_of

PATIENCE_SECONDS = 3.0
ASKING_SECONDS = 2.5  # shorter, so that the driver usually reports its error first
PAUSE_SECONDS = 1.0
LOOKS_COMPARED = 10
BAD_VALUE = 2  # MongoDB's error for a hint that names a missing index


class Question:
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


class Connection:
    """A MongoDB client, created on first use because reading the URI may query DNS."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._client: database.Client | None = None

    def client(self) -> database.Client:
        """Return the client, which has short time-outs."""
        with self._guard:
            if self._client is None:
                asking = int(ASKING_SECONDS * database.MILLISECOND)
                self._client = database.connect(
                    serverSelectionTimeoutMS=asking, connectTimeoutMS=asking, timeoutMS=asking
                )
            return self._client


class Watch:
    """An observer of all services. It keeps recent observations to compute rates."""

    def __init__(self) -> None:
        mongodb = Connection()
        self._server = Question(lambda: _ask_server(mongodb.client()))
        self._service = Question(lambda: _ask_service(mongodb.client()))
        self._queue = Question(_ask_queue)
        self._looks: deque[tuple[datetime, ServiceHealth]] = deque(maxlen=LOOKS_COMPARED + 1)

    def look(self) -> Facts:
        """Return the current facts within three seconds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        for question in (self._server, self._queue, self._service):
            question.ask()
        mongodb, away = _answer(self._server, deadline)
        length, no_queue = _answer(self._queue, deadline)
        service, error = _answer(self._service, deadline)
        at = now()
        return Facts(
            at,
            mongodb or MongoDB(answers=False, reason=_reason(away)),
            Queue(no_queue is None, _reason(no_queue), length),
            service,
            _reason(error),
            self._rates(at, service) if service else None,
            settings().recount_hours,
            has_indexes=not (isinstance(error, OperationFailure) and error.code == BAD_VALUE),
        )

    def look_twice(self) -> Facts:
        """Observe twice, so that the facts include rates."""
        facts = self.look()
        if facts.service is None:
            return facts
        time.sleep(PAUSE_SECONDS)
        self._service.ask()
        service, _ = _answer(self._service, time.monotonic() + PATIENCE_SECONDS)
        if service is None:
            return facts
        at = now()
        return replace(facts, at=at, service=service, rates=self._rates(at, service))

    def _rates(self, at: datetime, service: ServiceHealth) -> Rates | None:
        self._looks.append((at, service))
        since, before = self._looks[0]
        seconds = (at - since).total_seconds()
        return rates(before, service, seconds) if seconds > 0 else None


def _answer(question: Question, deadline: float) -> tuple[Any, Exception | None]:
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
    if getattr(error, "code", None) in NO_LEAVE:
        return "it rejects the user or password"
    if isinstance(error, TimeoutError) or is_passing(error):
        return "it does not respond"
    return describe(error)


def _ask_server(mongo: database.Client) -> MongoDB:
    anyone = ReadPreference.NEAREST
    with pymongo.timeout(ASKING_SECONDS):
        hello = mongo.admin.command("hello", read_preference=anyone)
        version = mongo.admin.command("buildInfo", read_preference=anyone)["version"]
        is_router = hello.get("msg") == "isdbgrid"
        if not is_router and "setName" not in hello:
            raise database.DeploymentError
        primary = "a router" if is_router else hello.get("primary")
        try:
            others = members(mongo.admin.command("replSetGetStatus", read_preference=anyone))
        except OperationFailure:  # a managed service or a router does not allow it
            others = [Member(host) for host in hello.get("hosts", ())]
    return MongoDB(True, None, version, until_of(version), primary, others)


def _ask_service(_: database.Client) -> ServiceHealth:
    """Query the service's health. Documents use the default client."""
    with pymongo.timeout(ASKING_SECONDS):
        return service_health()


def _ask_queue() -> int:
    from config.queue import huey

    return int(huey.pending_count())
