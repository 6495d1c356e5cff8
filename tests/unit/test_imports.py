"""Imports point one way, and the engine is independent of donations."""

import re
import sys
from pathlib import Path
from subprocess import run

from tools.testbed.readme import ROOT


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "6 kept, 0 broken" in done.stdout


def test_matchback_uses_only_the_engines_public_interface() -> None:
    """Other projects can use only the public interface, so Matchback must not need more."""
    inner = re.compile(r"(from|import) matchback\.engine\.")
    packages = ("config", "documents", "jobs", "service", "tools", "examples")
    files = [path for name in packages for path in (ROOT / name).rglob("*.py")]
    assert len(files) > 200
    assert [str(path) for path in files if inner.search(path.read_text())] == []
