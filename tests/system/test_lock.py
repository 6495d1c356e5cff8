"""The lock: what make installs is pinned with hashes, also the tool that makes the lock."""

import re

import pytest

from tools.testbed.readme import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
LOCKS = ["deploy/requirements.txt", *(path.name for path in ROOT.glob("requirements*.txt"))]


def test_make_installs_nothing_without_a_hash() -> None:
    installs = [line for line in MAKEFILE.splitlines() if re.search(r"\binstall --?\w", line)]
    asked = [line for line in installs if "pip" in line.casefold() and "apt-get" not in line]
    assert len(asked) >= 4
    for line in asked:
        assert "--require-hashes" in line or "--no-deps --no-build-isolation" in line, line


@pytest.mark.parametrize("name", LOCKS)
def test_each_pin_has_hashes(name: str) -> None:
    text = (ROOT / name).read_text()
    pins = re.findall(r"^[a-z0-9][^\n]*(?:\n    [^\n]*)*", text, re.M)
    assert pins
    for pin in pins:
        assert re.match(r"[\w.\[\]-]+==", pin), pin
        assert "--hash=sha256:" in pin, pin


def test_the_tool_that_locks_is_locked_by_the_same_recipe() -> None:
    assert re.search(r"^uv==", (ROOT / "requirements-lock.txt").read_text(), re.M)
    recipe = MAKEFILE.split("\nlock:")[1].split("\n\n")[0]
    assert "--requirement requirements-lock.txt" in recipe
    assert "--output-file requirements-lock.txt" in recipe
