"""Programs that the tests need and PyPI does not have: installed from Debian, or reported.

As root on Debian, this module installs missing programs. Otherwise it reports the missing package,
and the tests that need it. It unpacks promtool into .venv, because installing the package would
start a server.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tools.testbed.chromium import CHROMIUM_NAMES

PYTHON_FOLDER = Path(sys.executable).parent
SEARCH_PATH = os.pathsep.join(
    [os.environ.get("PATH", ""), str(PYTHON_FOLDER), "/usr/sbin", "/sbin"]
)
APT_ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}


class Program(NamedTuple):
    """A program, by any of its names, and the package that contains it."""

    names: tuple[str, ...]
    package: str
    takes: str
    tests: str
    install: Callable[[str], None]

    def is_installed(self) -> bool:
        """Return whether one of the names is on the path."""
        return any(shutil.which(name, path=SEARCH_PATH) for name in self.names)


def run_apt_get(*words: str, cwd: str | None = None) -> None:
    """Run apt-get quietly."""
    subprocess.run(
        ["apt-get", "--quiet=2", *words],
        cwd=cwd,
        env=APT_ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def install_package(package: str) -> None:
    """Install a package, which requires root.

    Raises:
        PermissionError: this process does not run as root.
    """
    if os.geteuid() != 0:
        raise PermissionError(f"Only root may install {package}.")
    run_apt_get("update")
    run_apt_get("install", "--no-install-recommends", package)


def unpack_promtool(package: str) -> None:
    """Download a package, and copy promtool out of it into .venv."""
    if os.geteuid() == 0:
        run_apt_get("update")
    with tempfile.TemporaryDirectory() as folder:
        run_apt_get("download", "--option", "APT::Sandbox::User=root", package, cwd=folder)
        [archive] = Path(folder).glob("*.deb")
        subprocess.run(["dpkg", "-x", archive, folder], check=True)
        shutil.copy(Path(folder) / "usr" / "bin" / "promtool", PYTHON_FOLDER)


PROGRAMS = (
    Program(CHROMIUM_NAMES, "chromium", "a minute or so", "the dashboard", install_package),
    Program(("ip",), "iproute2", "some seconds", "several machines", install_package),
    Program(("promtool",), "prometheus", "20 MB", "the alert rules (promtool)", unpack_promtool),
    Program(
        ("systemd-analyze",),
        "systemd",
        "some seconds",
        "the units (systemd-analyze)",
        install_package,
    ),
)


def install_missing(programs: Iterable[Program]) -> list[str]:
    """Install missing programs. Return a sentence for each program that is still missing."""
    found = []
    for program in programs:
        if program.is_installed():
            continue
        try:
            print(f"Installing {program.package}: {program.takes}", flush=True)  # noqa: T201
            program.install(program.package)
        except (OSError, subprocess.CalledProcessError):
            found.append(
                f"The tests of {program.tests} need a package that is missing: {program.package}. "
                f"On Debian, run: sudo apt-get install {program.package}"
            )
    return found


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit("\n".join(install_missing(PROGRAMS)) or 0)
