"""`make bench`: measure all of docs/explanation/performance.md in one run on real parts."""

import argparse
import os
import platform
import tempfile
from dataclasses import replace
from pathlib import Path

from tools.bench.figures import chart, write
from tools.bench.naive import QUEUES
from tools.bench.scenarios import SHORT, Bench, Size

RESULTS = Path("build/bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short",
        action="store_true",
        help="run a small amount of each measurement, to check the program",
    )
    parser.add_argument("--rounds", type=int, default=Size().rounds)
    parser.add_argument("--peers", nargs="*", choices=QUEUES, default=QUEUES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        of = {"rounds": given.rounds, "settlings": min(3, given.rounds), "queues": given.peers}
        size = SHORT if given.short else replace(Size(), **of)
        bench = Bench(size, Path(folder))
        bench.run()
    about = {
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    write(given.results, bench.figures, about)
    chart(given.results / "rates.svg", bench.figures)
    print(f"{given.results}/results.json and rates.svg")  # noqa: T201


if __name__ == "__main__":
    main()
