"""Search for advisories about the locked packages, with pip-audit.

Without a network, pip-audit cannot look them up. The program then reports that, and exits with 0.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tools.testbed.readme import ROOT


def main() -> int:
    """Print the advisories, and return 1 if a locked package has one."""
    command = [
        str(Path(sys.executable).parent / "pip-audit"),
        *(
            "--requirement",
            str(ROOT / "requirements" / "test.txt"),
            "--disable-pip",
            "--require-hashes",
        ),
        *("--format", "json", "--progress-spinner", "off"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print(f"pip-audit: not asked: {done.stderr.strip().splitlines()[-1:]}")  # noqa: T201
        return 0
    asked = [package for package in found if "vulns" in package]
    bad = [package for package in asked if package["vulns"]]
    for package in bad:
        ids = ", ".join(advisory["id"] for advisory in package["vulns"])
        print(f"{package['name']} {package['version']}: {ids}")  # noqa: T201
    told = (
        f"of {len(found)} packages, {len(asked)} could be asked about, {len(bad)} have advisories"
    )
    print(f"pip-audit: {told}")  # noqa: T201
    return int(bool(bad))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(main())
