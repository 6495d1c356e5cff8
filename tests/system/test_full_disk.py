"""A full disk: processes survive it or restart, and everything resumes by itself with new space."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.observability.log import StderrHandler
from config.settings import get_settings
from documents.organization import Organization
from documents.storage.export_state import WarehouseState
from documents.user import User
from jobs.warehouse.duckdb import DuckDB
from jobs.warehouse.exporter import Exporter
from service.local import instance, servers
from tests.system.test_up import is_ready, matchback, part
from tools.testbed.full_disk import mount_small_disk, raise_disk_full
from tools.testbed.stack import wait_until

DISK_MEGABYTES = 600
# Without permission to mount a file system, a marker file makes the state file's writes fail.
PRETENDED = """
from service.local import instance
from tools.testbed.full_disk import raise_disk_full as full
note = instance.save_state
instance.save_state = lambda data, state: full() if (data / "full").exists() else note(data, state)
from service.cli import main
main()
"""


@contextmanager
def lines_of(process: "subprocess.Popen[str]") -> Iterator[list[str]]:
    """Yield the process's output as it is printed. End the process."""
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.extend(process.stdout or ()))
    with process:
        reader.start()
        try:
            yield told
        finally:
            process.kill()
            reader.join()


def test_up_survives_a_full_disk_and_resumes_with_new_space(tmp_path: Path) -> None:
    data = tmp_path / "data"
    options = ["up", "--data", str(data), "--port", str(servers.find_free_port()), "--no-demo"]
    with mount_small_disk(data, DISK_MEGABYTES) as disk:
        if disk is None:
            command = [sys.executable, "-c", PRETENDED, *options]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        else:
            process = matchback(*options)
        with lines_of(process) as told:
            wait_until(lambda: is_ready(data) or process.poll() is not None, "readiness")
            disk.fill() if disk else (data / "full").touch()
            for name in ("worker", "MongoDB"):
                os.kill(part(data, name), signal.SIGKILL)
            wait_until(lambda: "fails: No space left" in "".join(told), "a message")
            time.sleep(5)  # Give MongoDB time to fail repeatedly.
            assert process.poll() is None, "".join(told)
            disk.free() if disk else (data / "full").unlink()
            wait_until(lambda: is_ready(data), "readiness with new space")
            wait_until(lambda: "succeeds again" in "".join(told), "the report of success")
            assert "".join(told).count(f"writing to {data} fails") == 1
            assert set(instance.load_state(data)["processes"]) >= {"worker", "web", "MongoDB"}
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def test_a_reader_that_stalls_does_not_stall_the_supervisor(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, time
        from service.local.terminal import print_progress as say
        for _ in range(5000):
            say("x" * 100)
        print("done", file=sys.stderr, flush=True)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr
        assert process.stderr.readline() == b"done\n"  # No test has read its output.
        assert process.wait(30) == 0


def test_output_is_printed_in_order_and_completely() -> None:
    script = (
        "from service.local.terminal import print_progress as say\nfor n in range(500): say(str(n))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert [line.split()[-1] for line in told.stdout.splitlines()] == [str(n) for n in range(500)]


PRETENDED_FULL = """
import os
from tools.testbed.full_disk import raise_disk_full
os.posix_fallocate = raise_disk_full
"""
# As gunicorn does: its master imports the worker class, and forks later.
COUNTER = """
import os, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from config.observability import metrics_files
metrics_files.reserve_metric_files()
import service.server.worker
print("ready", flush=True)
sys.stdin.readline()
if child := os.fork():
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for pid in (child, os.getpid()):
        metrics_files.forget_memory_files(pid)
        print("left:", *metrics_files.MEMORY_FOLDER.glob(f"matchback-metrics-{pid}-*"))
    sys.exit(status)
metrics_files.reserve_metric_files()
print(os.environ["PROMETHEUS_MULTIPROC_DIR"] == sys.argv[1], flush=True)
sys.stdin.readline()
from service.metrics.process import collect_process_metrics, count_request
for number in range(200):
    count_request("GET", f"/{number}", 200, 0.1)
sample = collect_process_metrics().get_sample_value
labels = {"method": "GET", "route": "/7", "status": "200"}
assert sample("matchback_http_requests_total", labels) == 1
print("counted", flush=True)
"""


@pytest.mark.parametrize("is_full_from", ["the start", "the fork", "the first count"])
def test_a_full_disk_does_not_kill_a_process_that_counts(tmp_path: Path, is_full_from: str) -> None:
    """The client library maps sparse files, so a full disk could cause SIGBUS."""
    folder = tmp_path / "metrics"
    with mount_small_disk(folder, 16) as disk:
        script = COUNTER if disk else PRETENDED_FULL + COUNTER
        if disk and is_full_from == "the start":
            disk.fill()
        with subprocess.Popen(
            [sys.executable, "-c", script, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            if disk and is_full_from == "the fork":
                disk.fill()
            print(file=process.stdin, flush=True)
            is_on_disk = process.stdout.readline().strip()
            assert is_on_disk == str(bool(disk) and is_full_from == "the first count")
            if disk and is_full_from == "the first count":
                disk.fill()
            told, _ = process.communicate("\n", timeout=60)
        assert process.returncode == 0, "it was killed"
        assert told == "counted\nleft:\nleft:\n"


def test_logging_to_a_full_disk_does_not_stop_work(tmp_path: Path) -> None:
    with mount_small_disk(tmp_path / "log", 1) as disk:
        if disk:
            disk.fill()
        place = tmp_path / "log" / "file" if disk else Path("/dev/full")
        if disk and not place.exists():
            place = Path("/dev/full")  # New files fail, too.
        with place.open("w", buffering=1) as file:
            handler = StderrHandler(file)
            record = logging.LogRecord("x", logging.ERROR, "x", 1, "x" * 10_000, (), None)
            handler.handle(record)
            handler.handle(record)
            with pytest.raises(OSError, match="No space"):
                file.close()


@pytest.mark.usefixtures("real_database")
def test_a_warehouse_on_a_full_disk_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHBACK_WAREHOUSE_URL", f"duckdb:///{tmp_path}/warehouse/it.duckdb")
    get_settings.cache_clear()
    warehouse = DuckDB(tmp_path / "warehouse" / "it.duckdb")
    exporter = Exporter(warehouse)
    with mount_small_disk(tmp_path / "warehouse", 16) as disk:
        exporter.run()
        organization = Organization.create("Alice's University")
        for number in range(300):
            User.create(organization.id, "P", f"{number}@x.edu")
        if disk:
            disk.fill()
        else:
            monkeypatch.setattr(Path, "write_bytes", raise_disk_full)
        assert exporter.run() == 0
        assert "No space" in (WarehouseState.current().error or "")
        disk.free() if disk else monkeypatch.undo()
        monkeypatch.setattr(exporter, "_not_before", 0.0)
        exporter.run()
        assert WarehouseState.current().error is None
        with warehouse.query("SELECT count(*) FROM users") as answer:
            assert next(answer.rows)[0] == 300
