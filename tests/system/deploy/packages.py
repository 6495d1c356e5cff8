"""The wheel and the sdist as `make dist` builds them, and empty environments to install them in."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.testbed.readme import ROOT

# Of the environment of the tests: what would lead to the checkout, or to its servers.
OURS = ("MATCHBACK_", "PYTHON", "VIRTUAL_ENV")


def elsewhere() -> dict[str, str]:
    """The environment of somebody who has no checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def run(*command: Any, **options: Any) -> str:
    """What it prints; when it fails, the test fails with that."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        env=elsewhere(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}"
    return str(done.stdout)


def build(source: Path, to: Path, *targets: str) -> list[Path]:
    """Build what is asked for, sdist or wheel, from a source tree; the files."""
    flags = [word for target in targets for word in ("-t", target)]
    run(sys.executable, "-m", "hatchling", "build", *flags, "-d", to, cwd=source)
    suffixes = {"sdist": ".tar.gz", "wheel": ".whl"}
    return [next(to.glob(f"*{suffixes[target]}")) for target in targets]


def constraints(to: Path) -> Path:
    """The versions of the lock. Its hashes would have to be of the wheel, too."""
    lock = (ROOT / "requirements" / "test.txt").read_text()
    pins = re.findall(r"^[^#\s].*?(?= \\$|$)", lock, re.M)
    to.write_text("\n".join(pins))
    return to
