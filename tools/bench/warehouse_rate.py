"""Measure how fast a warehouse that is far behind catches up.

The benchmark imports a whole mailing and its events (four per email) while the warehouse's worker
is stopped. Then it starts the worker, and measures the time until nothing waits. The start counts.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import psutil

from config.settings import get_settings
from documents.storage import export_outbox
from documents.storage.export_state import WarehouseState
from jobs.warehouse.engine import open_warehouse
from jobs.warehouse.tables import WAREHOUSE_TABLES
from jobs.warehouse.verify import find_differences
from service.local.command import build_matchback_command
from service.local.supervisor import Part
from tools.bench import mailing_day
from tools.testbed.stack import Stack, run_stack

CATCH_UP_TIMEOUT_SECONDS = 600
MEBIBYTE = 1024 * 1024


def measure_catch_up(folder: Path, emails: int) -> list[str]:
    """Measure, and return the result in lines for people."""
    url = f"duckdb:///{folder / 'warehouse.duckdb'}"
    os.environ["MATCHBACK_WAREHOUSE_URL"] = url
    get_settings.cache_clear()
    with run_stack(folder, {"MATCHBACK_WAREHOUSE_URL": url}) as stack:
        _catch_up(stack)
        stack.kill("warehouse", signal.SIGTERM)
        lines = mailing_day.send_mailing(stack, emails).lines()
        seconds, megabytes = _catch_up(stack)
        warehouse = open_warehouse(url)
        rows = 0
        for table in WAREHOUSE_TABLES:
            with warehouse.query(f"SELECT count(*) FROM {table.name}") as answer:
                rows += next(answer.rows)[0]
        differences = list(find_differences(warehouse))
        lines += [
            f"{rows} rows exported in {seconds:.1f} s: {rows / seconds:.0f} rows a second",
            f"the warehouse's worker: {megabytes:.0f} MB at peak",
            f"{len(differences)} differences from the ledger",
        ]
        return lines


def _catch_up(stack: Stack) -> tuple[float, float]:
    """Return the seconds until nothing waits, and the peak memory in MB."""
    command = [*build_matchback_command(), "warehouse", "worker"]
    log = stack.folder / "warehouse.log"
    begun, most = time.monotonic(), 0.0
    stack.supervisor.start(Part("warehouse", command, log, stack.environment))
    process = psutil.Process(stack.pid("warehouse"))
    while not (export_outbox.is_export_complete() and WarehouseState.current().is_filled):
        most = max(most, process.memory_info().rss / MEBIBYTE)
        assert time.monotonic() - begun < CATCH_UP_TIMEOUT_SECONDS, log.read_text()
        time.sleep(0.1)
    return time.monotonic() - begun, most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emails", type=int, default=100_000)
    with tempfile.TemporaryDirectory(prefix="warehouse-rate") as folder:
        sys.stdout.write(
            "\n".join(measure_catch_up(Path(folder), parser.parse_args().emails)) + "\n"
        )


if __name__ == "__main__":
    main()
