"""The switch for traces. Without MATCHBACK_TRACES, no module imports OpenTelemetry."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from config.settings import settings

if TYPE_CHECKING:
    from config.observability.spans import Spans

_spans: "Spans | None" = None


def start(process: str) -> None:
    """Start traces of this process if they are on. Call this after a fork, before connections."""
    global _spans  # noqa: PLW0603
    if settings().traces == "otlp" and _spans is None:
        from config.observability.spans import Spans

        _spans = Spans(f"matchback-{process}")


def are_on() -> bool:
    """Return whether this process is traced."""
    return _spans is not None


def here() -> str:
    """Return this thread's position in a trace as W3C's `traceparent`, or an empty string."""
    return _spans.here() if _spans else ""


def trace_id() -> str:
    """Return the ID of this thread's trace, or an empty string."""
    return here()[3:35]


def within(places: tuple[str, ...]) -> AbstractContextManager[None]:
    """Continue the trace within the block, if there is exactly one."""
    return _spans.within(places) if _spans else nullcontext()


def begin_job(name: str, places: tuple[str, ...]) -> None:
    """Begin the span of a job in this thread."""
    if _spans:
        _spans.begin_job(name, places)


def end_job(error: BaseException | None) -> None:
    """End the span of this thread's job."""
    if _spans:
        _spans.end_job(error)
