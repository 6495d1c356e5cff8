"""The wheel and the sdist as `make dist` builds them, and empty environments to install them in."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.testbed.readme import ROOT

# Variables of the tests' environment that would lead to the checkout or its servers.
OURS = ("MATCHBACK_", "PYTHON", "VIRTUAL_ENV")


def elsewhere() -> dict[str, str]:
    """Return the environment of a person without a checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def run(*command: Any, **options: Any) -> str:
    """Run a command and return its output. A failing command fails the test."""
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
    """Build an sdist or a wheel from a source tree, and return the files."""
    flags = [word for target in targets for word in ("-t", target)]
    run(sys.executable, "-m", "hatchling", "build", *flags, "-d", to, cwd=source)
    suffixes = {"sdist": ".tar.gz", "wheel": ".whl"}
    return [next(to.glob(f"*{suffixes[target]}")) for target in targets]


def constraints(to: Path) -> Path:
    """Return the locked versions without hashes, because hashes would have to include the wheel."""
    lock = (ROOT / "requirements" / "test.txt").read_text()
    pins = re.findall(r"^[^#\s].*?(?= \\$|$)", lock, re.M)
    to.write_text("\n".join(pins))
    return to
