"""Measure a POST while Redis is up, hung and gone, in turn, in one run."""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from service.local.supervisor import Supervisor
from tools.testbed.cast import University, create_university
from tools.testbed.stack import run_stack, wait_until

ROUND_COUNT = 6
POSTS_A_ROUND = 60


def _is_back(supervisor: Supervisor) -> bool:
    supervisor.watch()
    return "Redis" in supervisor.pids()


def measure_conditions(folder: Path) -> dict[str, list[float]]:
    """Return the milliseconds of each POST /v1/donations under each condition."""
    took: dict[str, list[float]] = {"up": [], "hung": [], "gone": []}
    with run_stack(folder) as stack:
        servers, supervisor = stack.servers, stack.servers.supervisor
        place = create_university("Latency", stack.api())
        fundraiser = place.fundraiser()
        time_posts(place, fundraiser)  # warm up
        for _ in range(ROUND_COUNT):
            took["up"] += time_posts(place, fundraiser)
            os.kill(servers.pid("Redis"), signal.SIGSTOP)
            took["hung"] += time_posts(place, fundraiser)
            os.kill(servers.pid("Redis"), signal.SIGKILL)
            time.sleep(0.2)
            took["gone"] += time_posts(place, fundraiser)
            wait_until(partial(_is_back, supervisor), "Redis")
            time.sleep(2)
        begun = time.monotonic()
        wait_until(lambda: not any(place.report(fundraiser)["unsettled"].values()), "settled", 30)
        print(f"caught up {time.monotonic() - begun:.1f} s after")  # noqa: T201
    return took


def time_posts(place: University, fundraiser: str) -> list[float]:
    """Send gifts one by one, and return the milliseconds of each."""
    took = []
    for _ in range(POSTS_A_ROUND):
        begun = time.perf_counter()
        place.gift(fundraiser, 100)
        took.append((time.perf_counter() - begun) * 1000)
    return took


def main() -> int:
    """Print medians and ratios. Return 1 if a ratio exceeds 1.5."""
    with tempfile.TemporaryDirectory() as folder:
        took = measure_conditions(Path(folder))
    up = statistics.median(took["up"])
    worst = 0.0
    for name, values in took.items():
        ratio = statistics.median(values) / up
        worst = max(worst, ratio)
        print(  # noqa: T201
            f"Redis {name:4}: median {statistics.median(values):.2f} ms, "
            f"p95 {statistics.quantiles(values, n=20)[-1]:.2f} ms, "
            f"longest {max(values):.1f} ms, ratio {ratio:.2f}"
        )
    return 1 if worst > 1.5 else 0


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(main())
