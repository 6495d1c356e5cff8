"""docs/explanation/security.md names tests for each of the Top 10, and these tests exist."""

import re

import pytest

from tools.testbed.readme import ROOT

DOCS = ROOT / "docs"
PAGE = (DOCS / "explanation" / "security.md").read_text()


def test_every_risk_names_existing_tests() -> None:
    rows = re.findall(r"^\| API(\d+) .*\| .* \| (.*) \|$", PAGE, re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    for _, tests in rows:
        assert "`tests/" in tests
    for name in re.findall(r"`(tests/[\w/]+\.py)`", PAGE):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", ["explanation/security.md", "how-to/secure.md"])
def test_every_named_setting_and_command_exists(page: str) -> None:
    text = (DOCS / page).read_text()
    settings = (DOCS / "reference" / "settings.md").read_text()
    for name in re.findall(r"`?(MATCHBACK_[A-Z_]+)", text):
        assert f"`{name}`" in settings, name
    commands = (DOCS / "reference" / "command-line.md").read_text()
    for command in re.findall(r"`matchback ([a-z-]+ [a-z-]+)", text):
        assert f"## matchback {command}\n" in commands, command
