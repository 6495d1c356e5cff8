"""A log line for each request: its kind and its result, and none of its contents."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import WSGIWarning

import pytest
import structlog
from falcon import testing

from config.observability.log import list_processors
from config.settings import Settings
from service.app import create_app
from service.middleware import access_log as module
from service.middleware.access_log import RequestLog, build_log_middleware
from tools.testbed.cast import Api, University, create_university

ADDRESS = "bob.baker@example.edu"


class Lines:
    """Log lines about requests."""

    def __init__(self) -> None:
        self.file = io.BytesIO()
        structlog.configure(
            processors=list_processors("web", "json"),
            logger_factory=structlog.BytesLoggerFactory(self.file),
        )

    @property
    def text(self) -> str:
        return self.file.getvalue().decode()

    def take(self) -> dict[str, Any]:
        """Return the only line since the last call."""
        line: dict[str, Any]
        (line,) = [json.loads(line) for line in self.text.splitlines()]
        self.file.seek(0)
        self.file.truncate()
        return line


@pytest.fixture
def lines() -> Iterator[Lines]:
    yield Lines()
    structlog.reset_defaults()


@pytest.fixture
def alice(mock_database: None, lines: Lines) -> University:
    made = create_university("Alice's University", Api.in_process(testing.TestClient(create_app())))
    made.api = Api.in_process(testing.TestClient(create_app(RequestLog())))
    return made


def test_a_request_is_logged_in_one_line(alice: University, lines: Lines) -> None:
    made = alice.call(
        "POST", "/v1/fundraisers", {"name": "Spring"}, headers={"X-Request-Id": "request-1"}
    )
    assert made.status == 201
    line = lines.take()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert 0 < line.pop("duration_ms") < 60_000
    assert line == {
        "level": "info",
        "process": "web",
        "logger": "access",
        "event": "request",
        "request_id": "request-1",
        "method": "POST",
        "route": "/v1/fundraisers",
        "status": 201,
        "organization_id": str(alice.id),
    }


def test_the_line_has_the_response_as_sent(alice: University, lines: Lines) -> None:
    id_ = alice.fundraiser()
    lines.take()
    path = f"/v1/fundraisers/{id_}"
    tag = alice.call("GET", path).headers["etag"]
    lines.take()
    for method, headers, expected in (
        ("GET", {"If-None-Match": tag}, ("GET", "/v1/fundraisers/{id}", 304)),
        ("HEAD", {}, ("HEAD", "/v1/fundraisers/{id}", 200)),
        ("DELETE", {}, ("DELETE", "/v1/fundraisers/{id}", 204)),
        ("GET", {}, ("GET", "/v1/fundraisers/{id}", 404)),
    ):
        alice.call(method, path, headers=headers)
        line = lines.take()
        assert (line["method"], line["route"], line["status"]) == expected
    stranger = alice.api.call("GET", "/v1/users")
    line = lines.take()
    assert (stranger.status, line["status"], "organization_id" in line) == (401, 401, False)


def test_the_line_contains_nothing_from_the_body(alice: University, lines: Lines) -> None:
    for method, path, body in (
        ("GET", f"/{ADDRESS}", None),
        ("GET", f"/v1/users/{ADDRESS}", None),
        ("GET", f"/v1/users?email={ADDRESS}", None),
        ("GET", "/v1/users?email=bob.baker%40example.edu", None),
        ("GET", f"/v1/users?api_key={alice.key}", None),
        ("POST", "/v1/users", {"name": "Bob Baker", "email": ADDRESS}),
        ("POST", f"/v1/webhooks/stripe/{ADDRESS}", {"email": ADDRESS}),
    ):
        alice.call(method, path, body, headers={"X-Request-Id": f"{ADDRESS} x"})
        assert [told for told in ("ob.baker", "Baker", alice.key[3:]) if told in lines.text] == []
        assert lines.take()["status"] > 0
    with pytest.warns(WSGIWarning):
        alice.api.call("BOBBAKER", "/v1/users")
    assert lines.take()["method"] == "OTHER"


def test_disabled_request_logging_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for level, wanted in (("debug", 1), ("info", 1), ("warning", 0), ("error", 0)):
        config = Settings.from_env({"MATCHBACK_LOG_LEVEL": level})
        monkeypatch.setattr(module, "get_settings", lambda config=config: config)
        assert len(build_log_middleware()) == wanted
