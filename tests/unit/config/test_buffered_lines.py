"""Buffered log lines: written together after a moment, and complete after an orderly end."""

import io
import os
import subprocess
import sys
import threading

import pytest

from config.observability import buffered_lines
from config.observability.buffered_lines import BufferedLines
from tools.testbed.stack import wait_until


def test_lines_of_many_threads_are_complete_and_in_order() -> None:
    file = io.BytesIO()
    lines = BufferedLines(file)

    def tell(name: int) -> None:
        for number in range(200):
            lines.write(f"{name} {number}\n".encode())
            lines.flush()

    threads = [threading.Thread(target=tell, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: file.getvalue().count(b"\n") == 1600, "all lines are written", 10)
    told = [tuple(map(int, line.split())) for line in file.getvalue().splitlines()]
    assert all(
        [number for name, number in told if name == one] == list(range(200)) for one in range(8)
    )


def test_beyond_the_buffer_the_logging_thread_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffered_lines, "MAX_BUFFERED_LINES", 2)
    monkeypatch.setattr(buffered_lines, "LOG_WRITE_INTERVAL_SECONDS", 60)
    file = io.BytesIO()
    lines = BufferedLines(file)
    for number in range(3):
        assert file.getvalue() == b""
        lines.write(b"%d\n" % number)
    assert file.getvalue() == b"0\n1\n2\n"


def test_a_closed_reader_stops_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    lines = BufferedLines(os.fdopen(writer, "wb", buffering=0))
    lines.write(b"one\n")
    lines.write_out()
    lines.write(b"two\n")


def test_an_orderly_end_loses_no_lines() -> None:
    code = (
        "import structlog\n"
        "from config.observability import buffered_lines, log\n"
        "buffered_lines.LOG_WRITE_INTERVAL_SECONDS = 60\n"
        "log.configure_logging('web')\n"
        "structlog.get_logger('access').info('request', route='/v1/users')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert '"route":"/v1/users"' in done.stderr
    assert done.stderr.endswith("\n")
