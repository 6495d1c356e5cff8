"""The shell session of a reader who follows the pages in order, with everything running."""

import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.test_readme import CURL
from tools.docs.blocks import Block, read_blocks
from tools.testbed.stack import wait_until

# Later pages need the records that earlier pages create.
READER_PAGES = (
    "tutorial.md",
    "how-to/reports.md",
    "how-to/explain-a-change.md",
    "how-to/digests.md",
    "how-to/subject-line.md",
    "how-to/holdout.md",
    "how-to/sendgrid.md",
    "how-to/shared-account.md",
    "how-to/import.md",
    "how-to/export-lists.md",
    "how-to/donation-form.md",
    "how-to/stripe.md",
    "how-to/payment-processor.md",
    "how-to/assign-payments.md",
    "how-to/receive-matches.md",
    "how-to/match-policy.md",
    "how-to/staff.md",
    "how-to/sign-in-with-your-provider.md",
    "how-to/erase.md",
    "how-to/remove-organization.md",
    "how-to/warehouse.md",
    "how-to/deploy.md",
    "how-to/secure.md",
    "how-to/monitor.md",
    "how-to/upgrade.md",
    "how-to/troubleshoot.md",
)
RUN_LANGUAGES = {"sh", "python"}
SKIPPED_MARKS = {"not-run", "fragment", "settings", "up"}
STEP_MARK = "\x1e"
SESSION_TIMEOUT_SECONDS = 300

# Sleep until nothing is due, because a busy machine takes longer than the reader's.
SLEEP_SCRIPT = f"""#!{sys.executable}
import os, sys, time, urllib.request
time.sleep(float(sys.argv[1]))
for _ in range(600):
    told = urllib.request.urlopen(os.environ["MATCHBACK_URL"] + "/metrics").read().decode()
    due = [line for line in told.splitlines() if line.startswith("matchback_due{{")]
    if due and all(float(line.split()[-1]) == 0 for line in due):
        sys.exit()
    time.sleep(0.1)
sys.exit("something is due for longer than a minute")
"""


def list_steps() -> list[Block]:
    """Return the blocks to run, in order."""
    found = (block for page in READER_PAGES for block in read_blocks(page))
    return [
        block
        for block in found
        if block.language in RUN_LANGUAGES and not block.marks & SKIPPED_MARKS
    ]


def build_script(folder: Path) -> str:
    """Return all steps as one script, which prints the place of each step before it runs."""
    lines = ["set -euo pipefail"]
    for number, block in enumerate(list_steps()):
        lines.append(f"printf '{STEP_MARK}%s\\n' {block.place}")
        if block.title:
            lines.append(f"cp {folder / f'step{number}'} {shlex.quote(block.title)}")
        elif block.language == "python":
            lines.append(f"cp {folder / f'step{number}'} step.py; .venv/bin/python step.py")
        else:
            lines.append(block.text)
        (folder / f"step{number}").write_text(block.text)
    return "\n".join(lines)


@contextmanager
def start_tutorial(folder: Path) -> Iterator[None]:
    """Start everything as in the tutorial's first terminal, on a free port."""
    (folder / ".venv").symlink_to(sys.prefix)
    [block] = [block for block in read_blocks("tutorial.md") if "up" in block.marks]
    command = [*shlex.split(block.text), "--port", "0"]
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=_environment(folder)
        )
    try:
        wait_until(lambda: _is_ready(folder) or process.poll() is not None, "ready")
        assert process.poll() is None, (folder / "up.log").read_text()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _is_ready(folder: Path) -> bool:
    return "ready:" in (folder / "up.log").read_text()


def run_session(folder: Path) -> tuple[dict[str, str], str]:
    """Return the output of each step by its place, and the place and reason of an early end."""
    tools = folder / "tools"
    tools.mkdir()
    _tool(tools / "sleep", SLEEP_SCRIPT)
    if shutil.which("curl") is None:
        _tool(tools / "curl", CURL)
    (folder / "steps").mkdir()
    done = subprocess.run(
        ["bash", "-c", build_script(folder / "steps")],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=SESSION_TIMEOUT_SECONDS,
        check=False,
    )
    told = dict(part.split("\n", 1) for part in done.stdout.split(STEP_MARK)[1:])
    last = list(told)[-1] if told else "the beginning"
    return told, "" if done.returncode == 0 else f"{last}: {told.get(last)}{done.stderr}"


def _tool(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(stat.S_IRWXU)


def _environment(folder: Path) -> dict[str, str]:
    """Return a reader's environment, without the settings of the tests."""
    path = f"{folder / 'tools'}:{folder / '.venv' / 'bin'}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "PYTHONUNBUFFERED": "1"}
