"""The reference is generated from the source, and is up to date."""

import re

import pytest

from service.routes import API_ROUTES
from tools.docs.commands_page import list_commands
from tools.docs.reference import PAGE_BUILDERS, REFERENCE_FOLDER


@pytest.mark.parametrize("name", PAGE_BUILDERS)
def test_the_generated_pages_are_up_to_date(name: str) -> None:
    assert (REFERENCE_FOLDER / name).read_text() == PAGE_BUILDERS[name](), "make reference"


def test_every_route_has_a_section() -> None:
    told = set(
        re.findall(r"^### `[A-Z]+ (\S+)`$", (REFERENCE_FOLDER / "api.md").read_text(), re.MULTILINE)
    )
    assert told == {path for path, _, _ in API_ROUTES}


def test_every_command_has_a_section() -> None:
    text = (REFERENCE_FOLDER / "command-line.md").read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [name for name, _ in list_commands()]
