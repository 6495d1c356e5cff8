"""A trace leads from a request through the database to the job that the request scheduled.

The collector is a small HTTP server, which receives OpenTelemetry's data as sent.
"""

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from config.settings import Settings, SettingsError
from tools.testbed.cast import BOB, University, create_university
from tools.testbed.stack import Servers, Stack, wait_until

CLIENTS_SPAN = "b7ad6b7169203331"
ADDRESS = "zebulon.quagmire@secret.example"


@dataclass
class Told:
    """A span as received."""

    service: str
    span: Span

    @property
    def trace(self) -> str:
        return self.span.trace_id.hex()

    @property
    def attributes(self) -> dict[str, Any]:
        return {
            one.key: one.value.string_value or one.value.int_value for one in self.span.attributes
        }


@dataclass
class Collector:
    """A collector that keeps everything it receives."""

    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    def spans(self, **expected: str) -> list[Told]:
        found = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    found += [Told(names["service.name"], span) for span in scope.spans]
        return [
            told
            for told in found
            if expected.get("trace", told.trace) == told.trace
            and expected.get("service", told.service) == told.service
            and expected.get("name", told.span.name) == told.span.name
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                made.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def traced(
    real_database: str, real_servers: Servers, tmp_path: Path, collector: Collector
) -> Iterator[Stack]:
    """Start the web service and a worker, which send their traces."""
    environment = {
        "MATCHBACK_TRACES": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "MATCHBACK_SWEEP_SECONDS": "3600",  # so that the job settles it
    }
    with Stack(real_servers, real_database, tmp_path, environment=environment).up() as running:
        yield running


def give(alice: University, spring: str, **headers: str) -> None:
    gift = {"fundraiser_id": spring, "amount": 2500, "currency": "USD", "donor": BOB}
    assert alice.call("POST", "/v1/donations", gift, headers=headers).status == 201


def parents(told: list[Told]) -> dict[str, Told]:
    return {one.span.span_id.hex(): one for one in told}


def inserted(collector: Collector, **where: str) -> Callable[[], list[Told]]:
    def find() -> list[Told]:
        return [one for one in collector.spans(**where) if one.span.name.endswith(".insert")]

    return find


def test_a_trace_leads_from_the_request_into_the_job(traced: Stack, collector: Collector) -> None:
    """Bob's client has its own trace, which contains the worker's transaction."""
    alice = create_university("Alice's University", traced.api())
    spring = alice.fundraiser()
    numbers = itertools.count(1)

    def settled() -> tuple[str, Told] | None:
        """Return a gift that a job has settled. The sweep at the start may settle the first one."""
        trace = f"{next(numbers):032x}"
        give(alice, spring, traceparent=f"00-{trace}-{CLIENTS_SPAN}-01")
        where = {"trace": trace, "service": "matchback-worker"}
        find = partial(collector.spans, name="update_email_donation", **where)
        job = wait_until(find, "the job's span")[0]
        names = {one.span.name.rpartition(".")[2] for one in collector.spans(**where)}
        return (trace, job) if "commitTransaction" in names else None

    trace, job = wait_until(settled, "a gift that is settled by its job")
    here = {"trace": trace}
    request = wait_until(
        lambda: collector.spans(service="matchback-web", name="POST /v1/donations", **here),
        "the request's span",
    )[0]
    insert = wait_until(inserted(collector, service="matchback-web", **here), "the insert")[0]
    assert request.span.parent_span_id.hex() == CLIENTS_SPAN
    assert insert.span.parent_span_id == request.span.span_id
    assert job.span.parent_span_id == request.span.span_id
    assert (request.span.kind, job.span.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER)
    assert request.attributes["http.route"] == "/v1/donations"
    assert request.attributes["http.response.status_code"] == 201
    commands = [
        one
        for one in collector.spans(service="matchback-worker", **here)
        if one.span.parent_span_id == job.span.span_id
    ]
    assert {one.attributes.get("db.system.name") for one in commands} >= {"mongodb"}
    assert "admin.commitTransaction" in {one.span.name for one in commands}
    queued = collector.spans(service="matchback-web", name="LPUSH", **here)
    assert [one.span.parent_span_id for one in queued] == [request.span.span_id]
    wait_until(lambda: f'"trace_id":"{trace}"' in traced.log("web"), "the request's line")


def test_background_work_makes_no_trace(traced: Stack, collector: Collector) -> None:
    """A worker constantly looks for due records and reads its queue."""
    alice = create_university("Alice's University", traced.api())
    give(alice, alice.fundraiser())
    wait_until(lambda: collector.spans(name="update_email_donation"), "the job's span")
    told = collector.spans()
    known = parents(told)
    roots = [one for one in told if one.span.parent_span_id.hex() not in known]
    assert {one.span.kind for one in roots} <= {Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER}
    assert not any(one.span.name in ("BRPOP", "BLMOVE") for one in told)


def test_traces_name_no_one(traced: Stack, collector: Collector) -> None:
    """Neither contents of requests nor the database's errors leave the process."""
    alice = create_university("Alice's University", traced.api())
    person = {"name": "Zebulon Quagmire", "email": ADDRESS}
    sent: list[tuple[str, str, Any, int]] = [
        ("POST", "/v1/users", person, 201),
        ("POST", "/v1/users", person, 409),  # the message of E11000 contains the address
        ("GET", f"/v1/users?email={ADDRESS}", None, 200),
        ("GET", f"/v1/users/{ADDRESS}", None, 404),
        ("GET", f"/{ADDRESS}", None, 404),
        ("GET", f"/v1/users?api_key={alice.key}", None, 400),
        ("POST", "/v1/users", {"name": "Zebulon Quagmire", "email": "quagmire"}, 422),
    ]
    statuses = []
    for verb, path, body, _ in sent:
        agent = {"User-Agent": ADDRESS, "Referer": f"https://x.example/{ADDRESS}"}
        statuses.append(alice.call(verb, path, body, headers=agent).status)
    assert statuses == [status for *_, status in sent]

    def servers() -> list[Told]:
        return [
            one
            for one in collector.spans(service="matchback-web")
            if one.span.kind == Span.SPAN_KIND_SERVER and "/readyz" not in one.span.name
        ]

    told = wait_until(lambda: len(servers()) == len(sent) and servers(), "all requests")
    assert sorted(one.attributes["http.response.status_code"] for one in told) == sorted(statuses)
    assert {one.span.name for one in told} == {
        "POST /v1/users",
        "GET /v1/users",
        "GET /v1/users/{id}",
        "GET",
    }
    assert not any(one.span.status.code == Status.STATUS_CODE_ERROR for one in told)
    whole = b"".join(collector.bodies).lower()
    for name in (b"zebulon", b"quagmire", b"secret.example", alice.key[3:].lower().encode()):
        assert name not in whole


def test_traces_require_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("config.settings.version", missing)
    with pytest.raises(SettingsError, match=r"MATCHBACK_TRACES is not valid.*matchback\[otel\]"):
        Settings.from_env({"MATCHBACK_TRACES": "otlp"})
    assert Settings.from_env({"MATCHBACK_TRACES": "off"}).traces == "off"


def test_without_traces_nothing_is_imported() -> None:
    """Where OpenTelemetry is installed, the Redis client loads its metrics by itself."""
    code = (
        "import sys, service.app, jobs.worker\n"
        "from config.observability import traces\n"
        "traces.start_tracing('web')\n"
        "assert traces.get_trace_id() == '' and not traces.is_tracing()\n"
        "ours = tuple(f'opentelemetry.{n}' for n in ('instrumentation', 'exporter', 'sdk.trace'))\n"
        "assert not [name for name in sys.modules if name.startswith(ours)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
