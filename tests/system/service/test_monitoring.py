"""Metrics for operators: correct for any number of processes, and complete for deploy/."""

import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from bson import ObjectId
from mongoengine import get_connection, get_db
from prometheus_client import REGISTRY
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from pymongo.errors import ConnectionFailure

from documents.recount.background import SteadyRecount
from documents.values.time import now
from jobs.process import serve_metrics
from service.local import servers
from tools.docs import metrics_reference
from tools.docs.monitored import ScrapedSamples, list_used_metrics
from tools.testbed.cast import UNKNOWN_ID, University, create_university, make_event
from tools.testbed.stack import Servers, Stack, wait_until

AT = 1_700_000_000
REQUESTS = 40
USERS = {"method": "GET", "route": "/v1/users"}


@pytest.fixture
def watched(real_database: str, real_servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    """Start two web processes, a worker that exposes metrics, and a warehouse."""
    environment = {
        "MATCHBACK_WORKER_METRICS_PORT": str(servers.find_free_port()),
        "MATCHBACK_WAREHOUSE_URL": f"duckdb:///{tmp_path}/warehouse.duckdb",
        "MATCHBACK_ADDRESS_REQUESTS_A_MINUTE": "5",
        "MATCHBACK_SMTP_URL": "smtp://127.0.0.1:1",  # mails only wait
    }
    with Stack(real_servers, real_database, tmp_path, environment=environment).up() as running:
        wait_until(lambda: listens(running), "the worker's metrics")
        yield running


def web(stack: Stack) -> ScrapedSamples:
    return ScrapedSamples.by(stack.url)


def worker(stack: Stack) -> ScrapedSamples:
    port = stack.environment["MATCHBACK_WORKER_METRICS_PORT"]
    return ScrapedSamples.by(f"http://{servers.LOOPBACK_ADDRESS}:{port}")


def listens(stack: Stack) -> bool:
    try:
        return bool(worker(stack).samples)
    except httpx.ConnectError:
        return False


def wait_for(stack: Stack, expected: float, name: str, **labels: str) -> None:
    def is_told() -> bool:
        return worker(stack).value(name, **labels) >= expected

    wait_until(is_told, f"{expected} of {name}{labels}")
    assert worker(stack).value(name, **labels) == expected


def each_process(stack: Stack) -> list[ScrapedSamples]:
    """Return the metrics of each web process, from its files."""
    told = []
    for process in psutil.Process(stack.pid("web")).children():
        found = Path(tempfile.gettempdir()).glob(f"matchback-metrics-*/*_{process.pid}.db")
        told.append(ScrapedSamples(MultiProcessCollector.merge(list(map(str, found)))))
    return told


def ask(alice: University, path: str, times: int = 1) -> set[int]:
    """Send each request on a new connection, so that either process may respond."""
    ours = {"Connection": "close"}
    return {alice.call("GET", path, headers=ours).status for _ in range(times)}


def conflict(stack: Stack, alice: University, fundraiser_id: str) -> None:
    """Make the worker's transaction conflict with another one."""
    with get_connection().start_session() as session, session.start_transaction():
        touch = {"$set": {"touched": True}}
        get_db().fundraisers.update_one({"_id": ObjectId(fundraiser_id)}, touch, session=session)
        alice.gift(fundraiser_id)
        time.sleep(0.5)
        session.abort_transaction()


def use(stack: Stack, alice: University) -> None:
    """Send emails, gifts, events of each fate, and requests over the limit."""
    alice.set_webhook_key()
    spring = alice.fundraiser()
    email = alice.email(spring)
    wait_for(stack, 1, "matchback_settle_seconds_count", kind="emails")
    opened = make_event(email, "open", AT)
    stranger = make_event(UNKNOWN_ID, "open", AT + 1, email="nobody@example.org")
    gateway = make_event(email, "click", AT + 9, useragent="Barracuda Sentinel")
    alice.deliver([opened, make_event(email, "click", AT + 2), stranger, gateway, {"no": "event"}])
    alice.deliver([opened, make_event(email, "sent by pigeon", AT + 3)])
    wait_for(stack, 2, "matchback_settle_seconds_count", kind="deliveries")
    for _ in range(3):
        alice.gift(spring)
    wait_for(stack, 3, "matchback_settle_seconds_count", kind="donations")
    conflict(stack, alice, spring)
    wait_for(stack, 4, "matchback_settle_seconds_count", kind="donations")


def test_metrics_cover_all_processes(watched: Stack) -> None:
    """The sum over web processes is exact, even after a kill.

    The worker exposes its own metrics.
    """
    alice = create_university("Alice's University", watched.api())
    assert ask(alice, "/v1/users", REQUESTS) == {200}
    assert ask(alice, f"/v1/users/{UNKNOWN_ID}", 3) == {404}
    assert ask(alice, f"/nothing/{UNKNOWN_ID}", 2) == {404}
    assert {alice.call(method, "/v1/users").status for method in ("BREW", "FROB")} == {400}
    # The parser rejects unknown methods. It accepts these two, which no resource has.
    assert {alice.call(method, "/v1/users").status for method in ("PROPFIND", "MKCOL")} == {405}
    told = web(watched)
    assert told.value("matchback_malformed_requests_total") == 2
    assert told.value("matchback_http_requests_total", **USERS, status="200") == REQUESTS
    assert told.value("matchback_http_request_duration_seconds_count", **USERS) == REQUESTS
    one = "/v1/users/{id}"
    assert told.value("matchback_http_requests_total", route=one, status="404") == 3
    assert told.value("matchback_http_requests_total", route="none", status="404") == 2
    assert told.value("matchback_http_requests_total", method="other", status="405") == 2
    assert not any(word in str(told.samples) for word in ("BREW", "FROB", "PROPFIND"))
    assert all(UNKNOWN_ID not in str(sample.labels) for sample in told.samples)
    parts = [each.value("matchback_http_requests_total", **USERS) for each in each_process(watched)]
    assert len(parts) == 2
    assert all(parts), "one process served no request"
    assert sum(parts) == REQUESTS
    killed = psutil.Process(watched.pid("web")).children()[0]
    killed.kill()
    killed.wait()
    wait_until(lambda: len(psutil.Process(watched.pid("web")).children()) == 2, "a new process")
    assert ask(alice, "/v1/users", 2) == {200}
    assert web(watched).value("matchback_http_requests_total", **USERS) == REQUESTS + 2


def test_a_worker_exposes_its_metrics(watched: Stack) -> None:
    """Together, the worker and the web expose every metric that the rules and the dashboard use."""
    alice = create_university("Alice's University", watched.api())
    use(watched, alice)
    told = worker(watched)
    for type_, fate, number in (
        ("open", "counted", 1),
        ("open", "repeated", 1),
        ("open", "unmatched", 1),
        ("click", "counted", 2),
        ("other", "counted", 1),
        ("unknown", "refused", 1),
    ):
        found = told.value("matchback_webhook_events_total", type=type_, fate=fate)
        assert found == number, (type_, fate)
    assert told.value("matchback_webhook_events_total") == 7
    assert told.value("matchback_batch_size_sum", kind="events") == 6
    assert told.value("matchback_batch_size_sum", kind="records") >= 5
    assert told.value("matchback_transaction_retries_total", work="settle") >= 1
    fast = told.value("matchback_settle_seconds_bucket", kind="donations", le="10.0")
    assert fast == 4

    ask(alice, "/openapi.json", 20)
    recount = SteadyRecount.current()
    while recount.last_finished_at is None:
        recount.step()
    told = web(watched)
    known = told.names() | worker(watched).names()
    assert told.value("matchback_database_up") == 1
    assert told.value("matchback_rate_limited_requests_total", kind="address") >= 10
    assert list_used_metrics() - known == {"up", "ALERTS"}, "Prometheus provides these itself"
    listed = [row for section in metrics_reference.list_metrics().values() for row in section]
    assert {name_of(row) for row in listed} <= known


def name_of(row: metrics_reference.MetricRow) -> str:
    return f"{row.name}_count" if row.type == "histogram" else row.name


def test_the_reference_is_up_to_date(mock_database: None) -> None:
    assert metrics_reference.METRICS_PAGE.read_text() == metrics_reference.build_page(), (
        "python -m tools.docs.metrics_reference"
    )


def test_every_metric_is_in_the_reference(mock_database: None) -> None:
    told = [name for metric in REGISTRY.collect() if (name := metric.name).startswith("matchback_")]
    listed = [row for section in metrics_reference.list_metrics().values() for row in section]
    assert {row.name.removesuffix("_total") for row in listed} >= set(told)
    for row in listed:
        assert row.name.endswith("_total") == (row.type == "counter")
        assert not {"organization", "organization_id", "id", "path", "email"} & set(row.labels)


def test_failed_jobs_are_counted_by_kind(alice: University) -> None:
    gift = alice.gift(alice.fundraiser())
    failed = {"trouble": {"tries": 5, "error": "KeyError", "failed_at": now()}}
    get_db().donations.update_one({"_id": ObjectId(gift)}, {"$set": failed})
    text = alice.api.call("GET", "/metrics").content.decode()
    told = ScrapedSamples(text_string_to_metric_families(text))
    assert told.value("matchback_failed_jobs", kind="donations") == 1
    assert told.value("matchback_failed_jobs") == 1


def test_without_a_database_the_service_exposes_its_own_metrics(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: object) -> Iterator[Metric]:
        raise ConnectionFailure("no primary")

    monkeypatch.setattr("service.metrics.due.DueCollector.collect", away)
    answer = alice.api.call("GET", "/metrics")
    told = ScrapedSamples(text_string_to_metric_families(answer.content.decode()))
    assert answer.status == 200
    assert told.value("matchback_database_up") == 0
    assert {"matchback_database_up", "matchback_http_requests_total"} <= told.names()
    assert "matchback_due" not in told.names()


def test_a_worker_works_although_its_metrics_port_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server((servers.LOOPBACK_ADDRESS, 0)) as taken:
        port = taken.getsockname()[1]
        serve_metrics(port)
    assert f"metrics: cannot listen on 127.0.0.1:{port}" in caplog.text
