"""The README and the guides: their examples run against a real service."""

import base64
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from service.local import addresses
from tools.testbed.cast import create_university
from tools.testbed.readme import README, ROOT, find_group
from tools.testbed.stack import Stack, wait_until

# For a machine without curl: the part of curl that the tour uses.
CURL = f"""#!{sys.executable}
import sys, httpx
arguments, headers, body, method, url = sys.argv[1:], {{}}, None, None, None
while arguments:
    word = arguments.pop(0)
    if word == "-H":
        name, value = arguments.pop(0).split(": ", 1)
        headers[name] = value
    elif word == "-d":
        body = arguments.pop(0)
    elif word == "-X":
        method = arguments.pop(0)
    elif not word.startswith("--"):
        url = word
answer = httpx.request(method or ("POST" if body else "GET"), url, headers=headers, content=body)
sys.stdout.write(answer.text)
sys.exit(0 if answer.status_code < 400 else 22)
"""


def tour() -> str:
    section = README.split("## Call the API")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.S))


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """Return one service for all tests. Each test has its own university."""
    return shared_stack


def test_the_readmes_tour_runs(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    addresses.write_addresses(tmp_path / "var", stack.environment)
    path = os.environ["PATH"]
    if shutil.which("curl") is None:
        (tmp_path / "curl").write_text(CURL)
        (tmp_path / "curl").chmod(stat.S_IRWXU)
        path = f"{tmp_path}:{path}"
    environment = {"PATH": path, "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", tour()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr + stack.log("web")
    match, report = map(json.loads, done.stdout.splitlines())
    [considered] = match["considered"]
    assert (match["match"], match["email_id"]) == ("address", considered["email_id"])
    assert report["emails"]["donated"] == 1
    assert report["donations"]["raised"] == {"USD": 2500}


def test_ci_runs_the_documented_test_command() -> None:
    assert "exec make test\n" in (ROOT / ".ci" / "run").read_text()
    assert "make test " in README


def test_the_reference_has_every_command() -> None:
    from service.cli import main

    page = (ROOT / "docs" / "reference" / "command-line.md").read_text()
    named = set(re.findall(r"^## matchback ([a-z -]+)$", page, re.M))
    commands: set[str] = set()
    for name, command in main.commands.items():
        inner = command.commands if isinstance(command, click.Group) else {}
        commands |= {f"{name} {word}" for word in inner} or {name}
    assert named == commands


def test_the_example_in_the_payments_guide_posts_a_gift(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (ROOT / "docs" / "how-to" / "payment-processor.md").read_text()
    example = find_group(r"```python\n(.*?)```", guide)
    alice = create_university("Alice's University", stack.api())
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    alice.call("PUT", "/v1/webhook-keys/payments", {"secret": secret})
    spring = alice.fundraiser()
    email = alice.get(f"/v1/emails/{alice.email(spring)}")
    names = {"MATCHBACK_URL": stack.environment["MATCHBACK_URL"], "ORGANIZATION": alice.id}
    names |= {"SECRET": secret, "FUNDRAISER": spring, "TOKEN": email["link_token"]}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    exec(example, {})

    def matched() -> Any:
        gifts = alice.get("/v1/donations")["data"]
        return gifts and gifts[0]["match"]

    assert wait_until(matched, "the gift is matched") == "link"
    [gift] = alice.get("/v1/donations")["data"]
    assert (gift["external_id"], gift["email_id"]) == ("gift-1042", email["id"])


def test_the_example_in_python_runs(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    guide = (ROOT / "docs" / "how-to" / "python-client.md").read_text()
    example = find_group(r"```python\n(.*?)```", guide)
    alice = create_university("Alice's University", stack.api())
    exec(example, {"url": stack.url, "key": alice.key})
    assert "Bob Baker" in capsys.readouterr().out
