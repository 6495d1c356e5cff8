"""OpenTelemetry's instrumentation of Falcon, PyMongo and Redis, and a span for each job.

Only `traces` imports this module, and only if traces are on. OpenTelemetry's own variables (OTEL_*)
set the destination.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import local
from typing import Any

# Use the stable attribute names, unless the operator selects others.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")

import falcon
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.falcon import FalconInstrumentor
from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

STATUS_ATTRIBUTE = "matchback.status"
# Only these attributes leave the process: no address, path, query, document or message.
EXPORTED_ATTRIBUTES = frozenset(
    [
        *("http.request.method", "http.response.status_code", "http.route", "url.scheme"),
        *("http.method", "http.status_code", "http.scheme", "http.flavor"),
        *("network.protocol.version", "falcon.resource", "error.type"),
        *("db.system", "db.name", "db.operation", "db.mongodb.collection"),
        *("db.system.name", "db.namespace", "db.operation.name", "db.collection.name"),
        *("db.redis.args_length", "db.redis.pipeline_length", "messaging.batch.message_count"),
    ]
)
HTTP_STATUS_ATTRIBUTES = ("http.response.status_code", "http.status_code")

_w3c = TraceContextTextMapPropagator()


class RequestedWorkSampler(Sampler):
    """A sampler that starts a trace only for a request or a job.

    A process also works by itself, such as a sweep or a blocking read of the queue. Several traces
    per second of such work would be useless.
    """

    def __init__(self, others: Sampler) -> None:
        self._others = others

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        *more: Any,
        **named: Any,
    ) -> SamplingResult:
        has_parent = trace.get_current_span(parent_context).get_span_context().is_valid
        if kind is SpanKind.CLIENT and not has_parent:
            return SamplingResult(Decision.DROP)
        return self._others.should_sample(parent_context, trace_id, name, kind, *more, **named)

    def get_description(self) -> str:
        return f"RequestedWorkSampler({self._others.get_description()})"


def redact_span(span: ReadableSpan) -> ReadableSpan:
    """Return the span with allowed attributes only, and with the response's status.

    The Falcon instrumentation records 500 for each error that Falcon does not define, even if a
    handler returns another status.
    """
    noted = span.attributes or {}
    attributes = {name: value for name, value in noted.items() if name in EXPORTED_ATTRIBUTES}
    name, status = span.name, Status(span.status.status_code)  # without its text
    if span.kind is SpanKind.SERVER:
        method = noted.get("http.request.method") or noted.get("http.method") or "HTTP"
        name = f"{method} {noted.get('http.route', '')}".strip()
        answered = noted.get(STATUS_ATTRIBUTE, 500)
        attributes |= {one: answered for one in HTTP_STATUS_ATTRIBUTES if one in noted}
        failed = isinstance(answered, int) and answered >= 500
        status = Status(StatusCode.ERROR if failed else StatusCode.UNSET)
        if not failed:
            attributes.pop("error.type", None)
    return ReadableSpan(
        name=name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        links=span.links,
        kind=span.kind,
        status=status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class RedactingExporter(SpanExporter):
    """An exporter that removes personal data from spans."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([redact_span(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class ProcessTracer:
    """The traces of this process."""

    def __init__(self, service: str) -> None:
        provider = TracerProvider(resource=Resource.create({"service.name": service}))
        provider.sampler = RequestedWorkSampler(provider.sampler)  # wraps the sampler from OTEL_*
        provider.add_span_processor(BatchSpanProcessor(RedactingExporter(OTLPSpanExporter())))
        self._tracer = provider.get_tracer("matchback")
        self._job = local()
        FalconInstrumentor().instrument(tracer_provider=provider, response_hook=_note_status)
        PymongoInstrumentor().instrument(tracer_provider=provider, capture_statement=False)
        RedisInstrumentor().instrument(tracer_provider=provider)

    def get_traceparent(self) -> str:
        """Return the position in this thread's trace as `traceparent`."""
        carrier: dict[str, str] = {}
        _w3c.inject(carrier)
        return carrier.get("traceparent", "")

    @contextmanager
    def continue_trace(self, places: tuple[str, ...]) -> Iterator[None]:
        """Continue a trace within the block. Work for several requests belongs to no trace."""
        token = context.attach(_at(places[0]) if len(places) == 1 else Context())
        try:
            yield
        finally:
            context.detach(token)

    def begin_job_span(self, name: str, places: tuple[str, ...]) -> None:
        """Start a job's span in its request's trace, or with links to several traces."""
        alone = len(places) == 1
        links = [Link(trace.get_current_span(_at(place)).get_span_context()) for place in places]
        span = self._tracer.start_span(
            name,
            context=_at(places[0]) if alone else Context(),
            kind=SpanKind.CONSUMER,
            links=[] if alone else links,
        )
        self._job.span = span
        self._job.token = context.attach(trace.set_span_in_context(span, Context()))

    def end_job_span(self, error: BaseException | None) -> None:
        """End the job's span, so that later work of the thread is not part of it."""
        if error is not None:
            self._job.span.set_status(StatusCode.ERROR)
            self._job.span.set_attribute("error.type", type(error).__name__)
        self._job.span.end()
        context.detach(self._job.token)


def _at(place: str) -> Context:
    return _w3c.extract({"traceparent": place}, Context())


def _note_status(span: trace.Span, req: falcon.Request, resp: falcon.Response) -> None:
    span.set_attribute(STATUS_ATTRIBUTE, resp.status_code)
