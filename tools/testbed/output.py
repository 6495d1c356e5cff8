"""The output of a process that must succeed, or its error output if it fails."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PROCESS_TIMEOUT_SECONDS = 300


def read_output(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command in a folder, with only this environment, and return its output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
