"""Run with faults, with seeds SEED, SEED+1, …, and compare all counters.

Any difference gives exit code 1, and keeps the folder with the logs of that run.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tools.chaos.run import run_chaos


def main() -> int:
    """Run with each seed, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    differences = 0
    for seed in range(options.seed, options.seed + options.runs):
        folder = Path(tempfile.mkdtemp(prefix="chaos"))
        result = run_chaos(folder, options.seconds, seed)
        print("\n".join(result.lines()), flush=True)  # noqa: T201
        if result.differences:
            print(f"  logs: {folder}", flush=True)  # noqa: T201
        else:
            shutil.rmtree(folder)
        differences += len(result.differences)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
