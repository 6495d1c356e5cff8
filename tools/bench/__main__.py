"""`make bench`: measure all of docs/explanation/performance.md in one run on real parts."""

import argparse
import os
import platform
import tempfile
from dataclasses import replace
from pathlib import Path

from tools.bench.figures import draw_chart, write_results
from tools.bench.naive import QUEUE_NAMES
from tools.bench.scenarios import SHORT_SIZE, Bench, BenchSize

RESULTS_FOLDER = Path("build/bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short",
        action="store_true",
        help="run a small amount of each measurement, to check the program",
    )
    parser.add_argument("--rounds", type=int, default=BenchSize().rounds)
    parser.add_argument("--peers", nargs="*", choices=QUEUE_NAMES, default=QUEUE_NAMES)
    parser.add_argument("--results", type=Path, default=RESULTS_FOLDER)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        of = {"rounds": given.rounds, "settlings": min(3, given.rounds), "queues": given.peers}
        size = SHORT_SIZE if given.short else replace(BenchSize(), **of)
        bench = Bench(size, Path(folder))
        bench.run()
    about = {
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    write_results(given.results, bench.figures, about)
    draw_chart(given.results / "rates.svg", bench.figures)
    print(f"{given.results}/results.json and rates.svg")  # noqa: T201


if __name__ == "__main__":
    main()
