"""Links between source files: their targets exist. test_site.py checks the site's links."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tools.docs.blocks import DOCS_FOLDER
from tools.testbed.readme import ROOT

FILES = [*DOCS_FOLDER.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.md")]


@cache
def tokens(path: Path) -> list[Token]:
    """Return all tokens of a file, of blocks and of their lines."""
    found = MarkdownIt().enable("table").parse(path.read_text())
    return [token for block in found for token in (block, *(block.children or ()))]


def links(path: Path) -> list[str]:
    """Return the targets of links and images."""
    names = {"link_open": "href", "image": "src"}
    return [str(one.attrs[names[one.type]]) for one in tokens(path) if one.type in names]


@cache
def anchors(path: Path) -> set[str]:
    """Return the anchors of headings, as GitHub derives them. A repeated heading gets a number."""
    slugs: list[str] = []
    found = tokens(path)
    for number, token in enumerate(found):
        if token.type == "heading_open":
            words = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", found[number + 1].content).lower())
            slugs.append(words.strip().replace(" ", "-"))
    numbered = (
        f"{one}-{slugs[:at].count(one)}" for at, one in enumerate(slugs) if one in slugs[:at]
    )
    return {*slugs, *numbered}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_has_a_target(path: Path) -> None:
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), link
            continue
        there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        assert there.exists(), link
        assert there.is_relative_to(ROOT), link
        if parts.fragment and there.suffix == ".md":
            assert parts.fragment in anchors(there), link


def test_anchors_match_githubs() -> None:
    """Check a link that README readers follow, and an invented one."""
    assert "put-a-proxy-in-front" in anchors(DOCS_FOLDER / "how-to" / "secure.md")
    assert "get-v1donationsidmatch" in anchors(DOCS_FOLDER / "reference" / "api.md")
    assert "nowhere" not in anchors(DOCS_FOLDER / "how-to" / "secure.md")
