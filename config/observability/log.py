"""Logging to standard error, one line per event. Lines contain IDs, never personal data.

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

# structlog would use Rich, which the command line needs for tables, to format tracebacks. It would
# also import greenlet, which some other package may have installed.
with hide_module("rich"), hide_module("greenlet"):
    import structlog
    from structlog.stdlib import ExtraAdder, ProcessorFormatter

REPEATED_ERROR_SECONDS = 60.0
MAX_INTEGER_BITS = 63  # bits; many JSON readers do not support larger numbers
# An exception's message may contain values, such as the value that a unique index rejected. A word
# with an at sign inside it is treated as an address. One pattern for both would need quadratic time
# in the length of a word.
LOG_WORD_PATTERN = re.compile(r"[^\s\"'<>(){},;]+")
AT_SIGNS = ("@", "%40")
LEVEL_BY_METHOD = {"exception": "error", "warn": "warning", "msg": "info"}


class RepeatedErrorFilter(logging.Filter):
    """A filter that passes each Huey error once a minute, because Huey logs every attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass a record with an exception once a minute, without its traceback."""
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
    """Replace everything that looks like an address, as a last resort.

    This includes passwords in URIs, which have the same form. The result can be serialized as JSON.
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
    """A structlog processor that puts the fields of a line in reading order."""

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
    """Format a line as JSON. Fast path: redact only lines that contain '@' or '%40'."""
    try:
        text = orjson.dumps(line, default=str)
    except TypeError:  # a value that JSON cannot represent, such as half a character
        return orjson.dumps(hide_addresses(line))
    return orjson.dumps(hide_addresses(line)) if b"@" in text or b"%40" in text else text


def to_text_line(logger: Any, method: str, line: dict[str, Any]) -> bytes:
    """Format a line as text for a terminal. A traceback keeps its lines."""
    said = [line.pop(name) for name in ("time", "level", "logger", "event")]
    exception = line.pop("exception", None)
    line.pop("process")
    said += [f"{name}={value}" for name, value in line.items()]
    text = " ".join(map(str, said)) + (f"\n{exception}" if exception else "")
    return LOG_WORD_PATTERN.sub(_hide_address, text).encode("utf-8", "replace")


def list_processors(process: str, form: str) -> list[Any]:
    """Return the processors that turn an event into a line."""
    render = to_json_line if form == "json" else to_text_line
    return [structlog.processors.format_exc_info, LineBuilder(process), render]


class RedactingFormatter(ProcessorFormatter):
    """A formatter for records from `logging`."""

    def __init__(self, process: str = "matchback", form: str = "json") -> None:
        chain = [*list_processors(process, form), lambda logger, method, line: line.decode()]
        super().__init__(processors=chain, foreign_pre_chain=[ExtraAdder()])


class StderrHandler(logging.StreamHandler[TextIO]):
    """A handler that writes to standard error."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Report that a line could not be written. The default report would repeat its content.

        Logging never stops the work. On a full disk, or without a reader, the line is lost.
        """
        cause = getattr(sys.exc_info()[0], "__name__", "error")
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(
                f'{{"level":"error","event":"a line could not be written ({cause})",'
                f'"where":"{record.module}:{record.lineno}"}}\n'
            )


@cache
def _gathered(file: BinaryIO) -> BinaryIO:
    """Return a buffer for the file, because structlog writes a line per request."""
    gathered = BufferedLines(file)
    atexit.register(gathered.write_out)
    return cast(BinaryIO, gathered)


def configure_logging(process: str = "matchback") -> None:
    """Set the format and the level for this process, whose name each line contains."""
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
    # Both log each request or task at INFO, which Matchback logs itself.
    logging.getLogger("huey").setLevel(logging.WARNING)
    for name in ("Worker", "Scheduler"):
        logging.getLogger(f"huey.consumer.{name}").addFilter(RepeatedErrorFilter())
    logging.getLogger("httpx").setLevel(logging.WARNING)
