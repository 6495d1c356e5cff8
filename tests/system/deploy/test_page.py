"""The guides for servers name existing commands, settings, units and files."""

import re

from config.settings import Settings, get_variable_name
from service.cli import main
from tools.testbed.readme import ROOT

DEPLOY = ROOT / "deploy"
GUIDES = ("deploy", "upgrade", "monitor")
PAGE = "\n".join((ROOT / "docs" / "how-to" / f"{name}.md").read_text() for name in GUIDES)
README = (DEPLOY / "README.md").read_text()


def test_every_named_command_setting_and_unit_exists() -> None:
    commands = re.findall(r"(?:\bmb|\bmatchback|--rm worker) ([a-z][a-z-]+)", PAGE)
    assert len(commands) > 8
    assert set(commands) <= set(main.commands)
    known = set(map(get_variable_name, Settings.model_fields))
    assert set(re.findall(r"MATCHBACK_[A-Z_]+", PAGE)) <= known
    units = {path.name for path in (DEPLOY / "systemd").iterdir()}
    for unit in re.findall(r"\bmatchback-([a-z]+)(@?)", PAGE):
        assert f"matchback-{''.join(unit)}.service" in units


def test_every_named_file_exists() -> None:
    for path in re.findall(r"\]\(([^)]+)\)", README):
        assert (DEPLOY / path).exists(), path
    for path in re.findall(r"(?<![\w/])systemd/[a-z.-]+\b", PAGE):
        assert (DEPLOY / path).exists(), path
