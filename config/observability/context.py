"""The context of the current work: a request, or a job and the requests that caused it.

Each log line contains it. A message's ID carries it from the request to the job. Workers of older
versions read this ID as an opaque string.
"""

import logging
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple

from config.observability import traces

log = logging.getLogger(__name__)

REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{8,100}", re.ASCII)
# W3C's Trace Context, version 00.
TRACEPARENT_PATTERN = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
MILLISECONDS_PER_SECOND = 1000
MAX_CARRIED_REQUESTS = 20  # maximum number of request IDs in one message


class Origin(NamedTuple):
    """The requests that caused some work: their IDs and the positions in their traces."""

    request_ids: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()

    def name(self, message_id: str) -> str:
        """Return the message's ID with this origin, such as `id;request=a,b;trace=00-…`."""
        told = {"request": self.request_ids, "trace": self.traces}
        parts = [f"{name}={','.join(ids)}" for name, ids in told.items() if ids]
        return ";".join([message_id, *parts])

    @classmethod
    def read(cls, message_id: str) -> "Origin":
        """Return the origin in a message's ID. Ignore missing and malformed parts."""
        said = dict(part.partition("=")[::2] for part in message_id.split(";")[1:])
        return cls(
            tuple(filter(REQUEST_ID_PATTERN.fullmatch, said.get("request", "").split(","))),
            tuple(filter(TRACEPARENT_PATTERN.fullmatch, said.get("trace", "").split(","))),
        )

    @classmethod
    def combine(cls, origins: Iterable["Origin"]) -> "Origin":
        """Merge origins: each ID once, up to the maximum."""
        ids: dict[str, None] = {}
        places: dict[str, None] = {}
        for origin in origins:
            ids |= dict.fromkeys(origin.request_ids)
            places |= dict.fromkeys(origin.traces)
            if len(ids) >= MAX_CARRIED_REQUESTS:
                break
        return cls(tuple(ids)[:MAX_CARRIED_REQUESTS], tuple(places)[:MAX_CARRIED_REQUESTS])


NO_ORIGIN = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=NO_ORIGIN)
_told: ContextVar[MappingProxyType[str, Any]] = ContextVar("told", default=MappingProxyType({}))
_carried: ContextVar[Origin] = ContextVar("carried", default=NO_ORIGIN)


def set_request(request_id: str) -> None:
    """Begin a request in this thread."""
    _origin.set(Origin((request_id,)))
    _told.set(MappingProxyType({"request_id": request_id}))


def set_job(job: str, origin: Origin) -> None:
    """Begin a job in this thread."""
    _origin.set(origin)
    asked = {"request_ids": origin.request_ids} if origin.request_ids else {}
    _told.set(MappingProxyType({"job": job, **asked}))


def clear_context() -> None:
    """End the request or job in this thread."""
    _origin.set(NO_ORIGIN)
    _told.set(MappingProxyType({}))


def get_log_fields() -> MappingProxyType[str, Any]:
    """Return the fields that each log line includes."""
    return _told.get()


def get_origin() -> Origin:
    """Return the requests that caused this thread's work."""
    here = traces.get_traceparent()
    return _origin.get()._replace(traces=(here,)) if here else _origin.get()


@contextmanager
def carry_origin(origin: Origin) -> Iterator[None]:
    """Set the origin of messages that are enqueued in the block."""
    token = _carried.set(origin)
    try:
        with traces.continue_trace(origin.traces):
            yield
    finally:
        _carried.reset(token)


def propagate_origins(huey: Any) -> None:
    """Add the origin to the messages of a Huey queue, and restore it in its jobs."""
    from huey.signals import (
        SIGNAL_ENQUEUED,
    )  # not at the top, because config/queue.py hides modules from Huey

    huey.signal(SIGNAL_ENQUEUED)(_name)
    huey.pre_execute("origin")(_begin)
    huey.post_execute("origin")(_end)


def _name(signal: str, task: Any) -> None:
    if (
        carried := _carried.get()
    ) is not NO_ORIGIN:  # the signal comes before Huey creates the message
        task.id = carried.name(task.id)


def _begin(task: Any) -> None:
    task.begun_at = time.perf_counter()
    origin = Origin.read(task.id)
    set_job(task.name, origin)
    traces.begin_job_span(task.name, origin.traces)


def _end(task: Any, value: Any, error: BaseException | None) -> None:
    spent = round((time.perf_counter() - task.begun_at) * MILLISECONDS_PER_SECOND, 1)
    done = {"records": len(task.args), "duration_ms": spent, "failed": error is not None}
    log.info("job", extra=done)
    traces.end_job_span(error)
    clear_context()
