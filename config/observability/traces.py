"""The switch for traces. Without MATCHBACK_TRACES, no module imports OpenTelemetry."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from config.settings import settings

if TYPE_CHECKING:
    from config.observability.spans import Spans

_spans: "Spans | None" = None


def start(process: str) -> None:
    """Trace this process, if that is wanted: after a fork, before anything connects."""
    global _spans  # noqa: PLW0603
    if settings().traces == "otlp" and _spans is None:
        from config.observability.spans import Spans

        _spans = Spans(f"matchback-{process}")


def are_on() -> bool:
    """Whether this process is traced."""
    return _spans is not None


def here() -> str:
    """Where the trace stands in this thread, as W3C's `traceparent`; or nothing."""
    return _spans.here() if _spans else ""


def trace_id() -> str:
    """The trace that this thread is in; or nothing."""
    return here()[3:35]


def within(places: tuple[str, ...]) -> AbstractContextManager[None]:
    """What is done within belongs to this place of a trace, if it is one."""
    return _spans.within(places) if _spans else nullcontext()


def begin_job(name: str, places: tuple[str, ...]) -> None:
    """This thread begins a job that was asked for there."""
    if _spans:
        _spans.begin_job(name, places)


def end_job(error: BaseException | None) -> None:
    """And has ended it."""
    if _spans:
        _spans.end_job(error)
