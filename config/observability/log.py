"""Logging to standard error, one line for each event. Lines contain IDs only, never personal data.

Records from `logging` and from structlog share one format.
"""

import atexit
import contextlib
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, BinaryIO, TextIO, cast

import orjson

from config.observability import context, traces
from config.observability.buffered_lines import BufferedLines
from config.optional_imports import hide_module
from config.settings import get_settings

# It would draw tracebacks with Rich, which the command line has for its tables.
with hide_module("rich"):
    import structlog
    from structlog.stdlib import ExtraAdder, ProcessorFormatter

REPEATED_ERROR_SECONDS = 60.0
MAX_INTEGER_BITS = 63  # bits: more is no number of JSON's to many who read it
# What an exception says may repeat what it met, such as the value that a unique index refused.
# A word that has an at sign inside it is an address. A single pattern for both would take time that
# grows with the square of a word's length.
LOG_WORD_PATTERN = re.compile(r"[^\s\"'<>(){},;]+")
AT_SIGNS = ("@", "%40")
LEVEL_BY_METHOD = {"exception": "error", "warn": "warning", "msg": "info"}


class RepeatedErrorFilter(logging.Filter):
    """A queue that is away is a line a minute: Huey tells it at every try, at length."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Let what has an exception pass once a minute, without its traceback."""
        if record.exc_info is None:
            return True
        cause = record.exc_info[0].__name__ if record.exc_info[0] else "error"
        record.msg, record.args = f"{record.msg} ({cause})", record.args
        record.exc_info = None
        last = self._said.get(record.msg)
        if last is not None and record.created - last < REPEATED_ERROR_SECONDS:
            return False
        self._said[record.msg] = record.created
        return True


def hide_addresses(value: Any) -> Any:
    """The last resort: nothing that looks like an address leaves the process, wherever it stands.

    Passwords in URIs have the same form, and go the same way. What is left can be written as JSON.
    """
    match value:
        case bool() | None | float():
            return value
        case int() if value.bit_length() <= MAX_INTEGER_BITS:
            return value
        case Mapping():
            return {hide_addresses(str(name)): hide_addresses(one) for name, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [hide_addresses(one) for one in value]
    text = str(value)
    if "@" in text or "%40" in text:
        text = LOG_WORD_PATTERN.sub(_hide_address, text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _hide_address(word: re.Match[str]) -> str:
    text = word.group()
    inside = any(text.find(sign, 1, len(text) - 1) > 0 for sign in AT_SIGNS)
    return "(address)" if inside else text


class LineBuilder:
    """A processor of structlog: everything that a line tells, in the order in which it is read."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        record = event.pop("_record", None)
        event.pop("_from_structlog", None)
        at = datetime.fromtimestamp(record.created, UTC) if record else datetime.now(UTC)
        line = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower() if record else LEVEL_BY_METHOD.get(method, method),
            "process": self._process,
            "logger": record.name if record else logger.name,
            "event": event.pop("event", ""),
            **context.get_log_fields(),
        }
        if trace_id := traces.get_trace_id():
            line["trace_id"] = trace_id
        for name, value in event.items():
            line.setdefault(name, value)
        return line


def to_json_line(logger: Any, method: str, line: dict[str, Any]) -> bytes:
    """Almost no line has anything to be taken out, and to look at the whole of it costs nothing."""
    try:
        text = orjson.dumps(line, default=str)
    except TypeError:  # what is no JSON, such as half a character
        return orjson.dumps(hide_addresses(line))
    return orjson.dumps(hide_addresses(line)) if b"@" in text or b"%40" in text else text


def to_text_line(logger: Any, method: str, line: dict[str, Any]) -> bytes:
    """For a terminal; a traceback keeps its lines."""
    said = [line.pop(name) for name in ("time", "level", "logger", "event")]
    exception = line.pop("exception", None)
    line.pop("process")
    said += [f"{name}={value}" for name, value in line.items()]
    text = " ".join(map(str, said)) + (f"\n{exception}" if exception else "")
    return LOG_WORD_PATTERN.sub(_hide_address, text).encode("utf-8", "replace")


def list_processors(process: str, form: str) -> list[Any]:
    """What makes a line of an event."""
    render = to_json_line if form == "json" else to_text_line
    return [structlog.processors.format_exc_info, LineBuilder(process), render]


class RedactingFormatter(ProcessorFormatter):
    """Lines of what is told by `logging`."""

    def __init__(self, process: str = "matchback", form: str = "json") -> None:
        chain = [*list_processors(process, form), lambda logger, method, line: line.decode()]
        super().__init__(processors=chain, foreign_pre_chain=[ExtraAdder()])


class StderrHandler(logging.StreamHandler[TextIO]):
    """To standard error."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Report that a line could not be made. The usual report would repeat its content.

        Logging never stops the work: a full disk, or a reader that is gone, costs the line.
        """
        cause = getattr(sys.exc_info()[0], "__name__", "error")
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(
                f'{{"level":"error","event":"a line could not be written ({cause})",'
                f'"where":"{record.module}:{record.lineno}"}}\n'
            )


@cache
def _gathered(file: BinaryIO) -> BinaryIO:
    """What is told by structlog, a line for each request, is written a moment later."""
    gathered = BufferedLines(file)
    atexit.register(gathered.write_out)
    return cast(BinaryIO, gathered)


def configure_logging(process: str = "matchback") -> None:
    """Set the format and the level for this process, whose lines tell which it is."""
    form, level = (
        get_settings().log_format,
        logging.getLevelNamesMapping()[get_settings().log_level.upper()],
    )
    handler = StderrHandler()
    handler.setFormatter(RedactingFormatter(process, form))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    structlog.configure(
        processors=list_processors(process, form),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(_gathered(sys.stderr.buffer)),
        cache_logger_on_first_use=True,
    )
    # Both tell the story of every request or task at INFO; ours is told elsewhere.
    logging.getLogger("huey").setLevel(logging.WARNING)
    for name in ("Worker", "Scheduler"):
        logging.getLogger(f"huey.consumer.{name}").addFilter(RepeatedErrorFilter())
    logging.getLogger("httpx").setLevel(logging.WARNING)
