"""docs/security.md is correct: each line of the Top 10 names tests, and they exist."""

import re

from tools.testbed.readme import README, ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_risk_names_existing_tests() -> None:
    rows = re.findall(r"^\| API(\d+) .*\| .* \| (.*) \|$", PAGE, re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    for _, tests in rows:
        assert "`tests/" in tests
    for name in re.findall(r"`(tests/[\w/]+\.py)`", PAGE):
        assert (ROOT / name).exists(), name


def test_every_named_setting_and_command_exists() -> None:
    for name in re.findall(r"`?(MATCHBACK_[A-Z_]+)", PAGE):
        assert f"`{name}`" in README, name
    for command in re.findall(r"`matchback ([a-z-]+ [a-z-]+)", PAGE):
        assert f"`{command}`" in README, command
