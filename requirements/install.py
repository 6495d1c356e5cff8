"""Installer for .venv: `python requirements/install.py run` makes .venv ready for `make run`.

It imports only the standard library, because it runs before anything is installed. uv does the
work. If uv has no wheel or fails, pip does the same work more slowly.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pip_and_uv import (
    BASE,
    HASHED,
    LOCKS,
    PYTHON,
    ROOT,
    VENV,
    Uv,
    environment,
    has_pip_outside,
    pip,
    run,
)

INSTALLED = VENV / ".installed"
UNFINISHED = VENV / ".unfinished"
# For each purpose, the purposes whose locks include it.
COVERED_BY = {
    "run": ("run", "bench", "test"),
    "docs": ("docs", "test"),
    "bench": ("bench", "test"),
    "test": ("test",),
}
# Modules that `matchback up` starts.
STARTED = "import gunicorn.app.wsgiapp, jobs.worker, service.cli, service.local.command"
STARTED += ", service.server.worker, service.app"
# Modules that each process of the tests imports.
TESTED = ", hypothesis, numpy, playwright.sync_api, psycopg, pytest, yaml"
EDITABLE = ("--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def main(purpose: str) -> None:
    """Prepare .venv for a purpose, unless it is ready."""
    with locked():
        if is_ready(purpose):
            return
        print(f"Setting up .venv for {purpose}: up to a minute", flush=True)
        make_venv()
        still_valid = {known: digest(known) for known in COVERED_BY if is_ready_by(known)}
        UNFINISHED.touch()
        INSTALLED.unlink(missing_ok=True)
        install(purpose)
        made = {"folder": str(VENV), **still_valid, purpose: digest(purpose)}
        INSTALLED.write_text(json.dumps(made))
        UNFINISHED.unlink()


@contextmanager
def locked() -> Iterator[None]:
    """Wait for another installer of this clone. The kernel frees the lock of a killed one."""
    folder = os.open(LOCKS, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def is_ready(purpose: str) -> bool:
    """Return whether .venv was completely installed from the current locks."""
    return works() and any(map(is_ready_by, COVERED_BY[purpose]))


def is_ready_by(purpose: str) -> bool:
    """Return whether the installed lock is the current one of exactly this purpose."""
    return installed().get(purpose) == digest(purpose)


def installed() -> dict[str, str]:
    """Read the folder and the locks of the last complete installation."""
    try:
        return dict(json.loads(INSTALLED.read_text()))
    except (OSError, ValueError):
        return {}


def digest(purpose: str) -> str:
    """Return a hash of the lock of a purpose and of the project's part of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = json.dumps(tomllib.load(file)["project"], sort_keys=True)
    lock = (LOCKS / f"{purpose}.txt").read_text()
    return hashlib.sha256(f"{project}\0{lock}".encode()).hexdigest()


def works() -> bool:
    """Return whether .venv is complete, has not moved, and runs this version of Python."""
    # The programs in .venv/bin name its folder.
    if UNFINISHED.exists() or installed().get("folder", str(VENV)) != str(VENV):
        return False
    if Path(sys.prefix) == VENV:
        return True
    code = f"import sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    return PYTHON.exists() and run([str(PYTHON), "-c", code]).returncode == 0


def make_venv() -> None:
    """Create .venv, unless a working one exists."""
    if not works():
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.mkdir()
        UNFINISHED.touch()
        # pip outside of .venv can install into it. Installing pip inside takes seconds.
        bare = ["--without-pip"] if has_pip_outside() else []
        subprocess.run([BASE, "-m", "venv", *bare, str(VENV)], check=True)


def install(purpose: str) -> None:
    """Install the lock of a purpose, and the project itself if that lock can build it."""
    steps = [[*HASHED, str(LOCKS / f"{purpose}.txt")]]
    if purpose != "docs":
        steps.append([*EDITABLE])
    with tempfile.TemporaryDirectory(prefix="uv-", dir=VENV) as folder:
        if not install_with_uv(steps, Path(folder)):
            print("uv does not work here. pip takes a minute or more", flush=True)
            for step in steps:
                command = [*pip(), "--quiet", "install", *step]
                subprocess.run(command, env=environment(), check=True)
    if purpose in ("run", "test"):
        compile_what_starts(STARTED + TESTED * (purpose == "test"))


def compile_what_starts(imports: str) -> None:
    """Compile these imports once, because otherwise each process would do so.

    Processes import only a sixth of the packages' code, so compiling all of it takes longer.
    """
    variables = {**environment(), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([str(PYTHON), "-c", imports], env=variables, cwd=ROOT, check=True)


def install_with_uv(steps: list[list[str]], folder: Path) -> bool:
    """Install with uv, which .venv does not keep because it is large. Return whether it worked."""
    try:
        uv = Uv(folder)
        for step in steps:
            uv("install", "--python", str(PYTHON), *step)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\nRun the same command again to repair .venv.")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The next make repairs .venv.")
