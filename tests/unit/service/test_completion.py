"""Shell completion of the commands: in a real bash, and fast enough to be useful."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from tools.testbed.readme import ROOT
from tools.testbed.stack import WAIT_TIMEOUT_SECONDS

# Modules that a completion must not load.
SLOW = {
    "pymongo",
    "mongoengine",
    "redis",
    "huey",
    "falcon",
    "pydantic",
    "rich",
    "documents",
    "config",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose PATH finds this `matchback`."""
    command = tmp_path / "matchback"
    command.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m service.cli \"$@\"\n")
    command.chmod(0o700)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def completed(environment: dict[str, str], *words: str) -> list[str]:
    """Return bash's completions after the last of these words."""
    script = """
        eval "$(matchback completion bash)"
        complete -p matchback > /dev/null
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _matchback_completion matchback
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-euc", script, "bash", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_subcommands_and_options(environment: dict[str, str]) -> None:
    assert completed(environment, "matchback", "sta") == ["staff", "status"]
    assert completed(environment, "matchback", "warehouse", "ver") == ["verify"]
    assert completed(environment, "matchback", "jobs", "failed", "--js") == ["--json"]
    assert completed(environment, "matchback", "completion", "") == ["bash", "zsh", "fish"]


def test_tab_completes_in_an_interactive_bash(environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    bash = ["bash", "--norc", "--noprofile", "-i"]
    environment |= {"PS1": "ready> ", "TERM": "xterm", "INPUTRC": os.devnull}
    with subprocess.Popen(
        bash, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as shell:
        os.close(theirs)
        os.write(ours, b'eval "$(matchback completion bash)"; echo "install""ed"\n')
        read_until(ours, "installed")
        os.write(ours, b"matchback warehouse stat\t")
        read_until(ours, "warehouse status")
        shell.kill()
    os.close(ours)


def read_until(terminal: int, text: str) -> None:
    """Read a terminal until this text appears."""
    said, deadline = "", time.monotonic() + WAIT_TIMEOUT_SECONDS
    while text not in said:
        assert time.monotonic() < deadline, said
        if select.select([terminal], [], [], 1)[0]:
            said += os.read(terminal, 4096).decode("utf-8", "replace")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_explains_its_installation(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    first, rest = result.stdout.split("\n", 1)
    assert first.startswith("# ")
    assert f"matchback completion {shell}" in first
    assert f"_MATCHBACK_COMPLETE={shell}_complete" in rest
    assert first.removeprefix("# ") in CliRunner().invoke(main, ["completion", "--help"]).stdout


def test_completion_imports_no_slow_modules(environment: dict[str, str]) -> None:
    environment |= {"_MATCHBACK_COMPLETE": "bash_complete", "COMP_WORDS": "matchback st"}
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-c",
            "import service.cli as c; c.main(prog_name='matchback')",
        ],
        env=environment | {"COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "status" in done.stdout
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "service.commands.status" in imported
    assert not {name.split(".")[0] for name in imported} & SLOW
    assert not {
        name for name in imported if name.startswith("service.") and name.count(".") == 1
    } - {
        "service.cli",
        "service.commands",
    }
