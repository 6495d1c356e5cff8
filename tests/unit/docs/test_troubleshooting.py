"""Messages that the troubleshooting guide quotes; each must occur in the source."""

import ast
import re
from functools import cache

import pytest

from tools.docs.blocks import DOCS_FOLDER
from tools.testbed.readme import ROOT

PACKAGES = ("config", "documents", "jobs", "service")
PAGE = DOCS_FOLDER / "how-to" / "troubleshoot.md"
ROW = re.compile(r"^\| (?:\d{3} )?`(.+?)` \|", re.MULTILINE)
VARIES = "…"


@cache
def strings() -> str:
    """Return every string in the source. Adjacent literals are one string."""
    trees = (
        ast.parse(path.read_text())
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    )
    nodes = (node for tree in trees for node in ast.walk(tree))
    return "\n".join(
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def quoted() -> list[str]:
    return ROW.findall(PAGE.read_text())


def missing(message: str) -> list[str]:
    """Return the constant parts of a message that do not occur in the source."""
    if message in strings():
        return []
    parts = (part.strip() for part in message.split(VARIES))
    return [part for part in parts if part not in strings()]


def test_the_guide_quotes_messages() -> None:
    assert len(quoted()) > 30


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_occurs_in_the_source(message: str) -> None:
    assert missing(message) == []


def test_a_message_without_a_source_is_found() -> None:
    assert missing("… flew away: …") == ["flew away:"]
