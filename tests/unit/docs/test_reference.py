"""The reference is generated from the source, and is up to date."""

import re

import pytest

from service.routes import ROUTES
from tools.docs.commands_page import commands
from tools.docs.reference import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_pages_are_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "make reference"


def test_every_route_has_a_section() -> None:
    told = set(re.findall(r"^### `[A-Z]+ (\S+)`$", (FOLDER / "api.md").read_text(), re.MULTILINE))
    assert told == {path for path, _, _ in ROUTES}


def test_every_command_has_a_section() -> None:
    text = (FOLDER / "command-line.md").read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [name for name, _ in commands()]
