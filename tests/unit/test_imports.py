"""Imports point one way, and the engine knows nothing of donations."""

import sys
from pathlib import Path
from subprocess import run

from tools.testbed.readme import ROOT


def test_the_import_contracts_are_kept() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "6 kept, 0 broken" in done.stdout
