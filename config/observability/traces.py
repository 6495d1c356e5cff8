"""The switch for traces. Without MATCHBACK_TRACES, no module imports OpenTelemetry."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from config.settings import get_settings

if TYPE_CHECKING:
    from config.observability.spans import ProcessTracer

_spans: "ProcessTracer | None" = None


def start_tracing(process: str) -> None:
    """Trace this process, if that is wanted: after a fork, before anything connects."""
    global _spans  # noqa: PLW0603
    if get_settings().traces == "otlp" and _spans is None:
        from config.observability.spans import ProcessTracer

        _spans = ProcessTracer(f"matchback-{process}")


def is_tracing() -> bool:
    """Whether this process is traced."""
    return _spans is not None


def get_traceparent() -> str:
    """Where the trace stands in this thread, as W3C's `traceparent`; or nothing."""
    return _spans.get_traceparent() if _spans else ""


def get_trace_id() -> str:
    """The trace that this thread is in; or nothing."""
    return get_traceparent()[3:35]


def continue_trace(places: tuple[str, ...]) -> AbstractContextManager[None]:
    """What is done within belongs to this place of a trace, if it is one."""
    return _spans.continue_trace(places) if _spans else nullcontext()


def begin_job_span(name: str, places: tuple[str, ...]) -> None:
    """This thread begins a job that was asked for there."""
    if _spans:
        _spans.begin_job_span(name, places)


def end_job_span(error: BaseException | None) -> None:
    """And has ended it."""
    if _spans:
        _spans.end_job_span(error)
