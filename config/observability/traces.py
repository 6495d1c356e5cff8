"""The switch for traces. Without MATCHBACK_TRACES, no module imports OpenTelemetry."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from config.settings import get_settings

if TYPE_CHECKING:
    from config.observability.spans import ProcessTracer

_spans: "ProcessTracer | None" = None


def start_tracing(process: str) -> None:
    """Start traces of this process if they are on. Call this after a fork, before connections."""
    global _spans  # noqa: PLW0603
    if get_settings().traces == "otlp" and _spans is None:
        from config.observability.spans import ProcessTracer

        _spans = ProcessTracer(f"matchback-{process}")


def is_tracing() -> bool:
    """Return whether this process is traced."""
    return _spans is not None


def get_traceparent() -> str:
    """Return this thread's position in a trace as W3C's `traceparent`, or an empty string."""
    return _spans.get_traceparent() if _spans else ""


def get_trace_id() -> str:
    """Return the ID of this thread's trace, or an empty string."""
    return get_traceparent()[3:35]


def continue_trace(places: tuple[str, ...]) -> AbstractContextManager[None]:
    """Continue the trace within the block, if there is exactly one."""
    return _spans.continue_trace(places) if _spans else nullcontext()


def begin_job_span(name: str, places: tuple[str, ...]) -> None:
    """Begin the span of a job in this thread."""
    if _spans:
        _spans.begin_job_span(name, places)


def end_job_span(error: BaseException | None) -> None:
    """End the span of this thread's job."""
    if _spans:
        _spans.end_job_span(error)
