"""Log events: JSON lines without names. An unavailable queue does not fill the disk."""

import io
import json
import logging
import os
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from config.observability import context
from config.observability.log import RedactingFormatter, RepeatedErrorFilter, StderrHandler

ADDRESS = "Bob.Baker@example.edu"
TOLD = ("bob", "baker", "secret", "example.edu")


class Log:
    """A logger whose lines the test can read."""

    def __init__(self, form: str = "json") -> None:
        self.stream = io.StringIO()
        self.logger = logging.Logger("documents.settling.settle")
        handler = StderrHandler(self.stream)
        handler.setFormatter(RedactingFormatter("worker", form))
        self.logger.addHandler(handler)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def record(
    error: Exception | None = None, message: str = "Error reading from queue"
) -> logging.LogRecord:
    exc_info = (type(error), error, None) if error else None
    return logging.LogRecord("huey", logging.ERROR, "", 0, message, (), exc_info)


def fail(words: str) -> None:
    raise ValueError(words)


def test_an_event_is_one_line_of_json() -> None:
    log = Log()
    log.logger.warning("sweep: %d settled", 5, extra={"batch": 7})
    (line,) = log.lines
    at = datetime.fromisoformat(line.pop("time"))
    assert at.utcoffset() == timedelta(0)
    assert at.microsecond % 1000 == 0
    assert line == {
        "level": "warning",
        "process": "worker",
        "logger": "documents.settling.settle",
        "event": "sweep: 5 settled",
        "batch": 7,
    }


def test_a_line_names_its_request_or_requests() -> None:
    log = Log()
    context.set_request("request-1")
    log.logger.info("one")
    context.set_job("count_email", context.Origin(("request-1", "request-2")))
    log.logger.info("two")
    context.clear_context()
    log.logger.info("three")
    told = [{name: line.get(name) for name in ("request_id", "request_ids")} for line in log.lines]
    assert told == [
        {"request_id": "request-1", "request_ids": None},
        {"request_id": None, "request_ids": ["request-1", "request-2"]},
        {"request_id": None, "request_ids": None},
    ]


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_address_is_ever_logged(form: str) -> None:
    """An exception may contain its input, and so may a log line's fields."""
    log = Log(form)
    spoilt = {
        "plain": ADDRESS,
        "quoted": f'"{ADDRESS}"',
        "lines": f"one\n{ADDRESS}\ntwo",
        "in_a_url": "https://x.example/?to=Bob.Baker%40example.edu",
        "nested": {"donor": [{ADDRESS: (ADDRESS, {ADDRESS})}]},
        "raw": ADDRESS.encode(),
        "error": ValueError(ADDRESS),
        "half": f"\ud800 {ADDRESS}",
    }
    try:
        fail(f'E11000 duplicate key: {{ address: "{ADDRESS}" }}')
    except ValueError:
        log.logger.exception(
            "gift of %s at mongodb://u:secret@host/", f"<{ADDRESS}>", extra=spoilt, stack_info=True
        )
    log.logger.error(f"{ADDRESS}")
    assert [told for told in TOLD if told in log.text.lower()] == []
    assert "ValueError" in log.text
    assert "gift of <(address)>" in log.text
    if form == "json":
        first = log.lines[0]
        assert first["lines"] == "one\n(address)\ntwo"
        assert first["quoted"] == '"(address)"'
        assert first["exception"].startswith("Traceback (most recent call last):\n")


def test_any_value_can_be_logged() -> None:
    log = Log()
    id_ = ObjectId()
    odd = {
        "id_": id_,
        "huge": 2**70,
        "half": "\ud800",
        "not_a_number": float("nan"),
        "keys": {1: 2},
    }
    log.logger.info("odd", extra=odd)
    line = log.lines[0]
    assert (line["id_"], line["huge"], line["half"]) == (str(id_), str(2**70), "?")
    assert (line["not_a_number"], line["keys"]) == (None, {"1": 2})


def test_a_failed_log_line_repeats_none_of_its_values() -> None:
    log = Log()
    log.logger.error("gift of %d", ADDRESS)
    (line,) = log.lines
    assert line["event"] == "a line could not be written (TypeError)"
    assert line["where"].startswith("test_log:")


def test_text_format_is_readable() -> None:
    log = Log("text")
    try:
        fail("no route")
    except ValueError:
        log.logger.exception("sweep: failed", extra={"batch": 7})
    first, *trace = log.text.splitlines()
    assert first.partition(" ")[2] == "error documents.settling.settle sweep: failed batch=7"
    assert (trace[0], trace[-1]) == ("Traceback (most recent call last):", "ValueError: no route")


SAID = """
import logging, warnings
import structlog
from config.observability.log import configure_logging
configure_logging("web")
logging.getLogger("pymongo").warning("a library")
structlog.get_logger("access").info("request", status=200)
warnings.warn("old")
"""


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("info", [("pymongo", "a library"), ("py.warnings", "…"), ("access", "request")]),
        ("warning", [("pymongo", "a library"), ("py.warnings", "…")]),
    ],
)
def test_all_lines_of_a_process_are_json(level: str, expected: list[tuple[str, str]]) -> None:
    environment = {**os.environ, "MATCHBACK_LOG_LEVEL": level}
    done = subprocess.run(
        [sys.executable, "-c", SAID], env=environment, capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    said = [(line["logger"], line["event"].split("\n")[0]) for line in lines]
    assert [(name, "…" if name == "py.warnings" else event) for name, event in said] == expected
    assert {line["process"] for line in lines} == {"web"}


def test_a_repeated_failure_is_logged_once_a_minute() -> None:
    once = RepeatedErrorFilter()
    said = [one for one in (record(ConnectionError("x")) for _ in range(100)) if once.filter(one)]
    assert [one.getMessage() for one in said] == ["Error reading from queue (ConnectionError)"]
    later = record(ConnectionError("x"))
    later.created += 61
    assert once.filter(later)
    assert once.filter(record(TimeoutError("y")))
    assert once.filter(record(message="Worker 1 died"))
