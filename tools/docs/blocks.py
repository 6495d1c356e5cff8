"""Code blocks of the documentation, and the meaning of their info strings.

The first word is the language. Braces hold marks, as in ```sh { .not-run }```:

- `.up` starts everything, in its own terminal.
- `.answer` is the output of the previous block, or a part of it, with … for what differs.
- `.settings` are assignments, which tests read as settings.
- `.fragment` is Python that tests only compile, because it needs other code.
- `.not-run` is not run. The tests list these blocks.

A `title="form.py"` is the name under which the reader saves the block.
"""

import re
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt

from tools.testbed.readme import ROOT

DOCS_FOLDER = ROOT / "docs"


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    marks: frozenset[str]
    title: str | None
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        return self.text.split("\n", 1)[0]


@cache
def list_pages() -> list[str]:
    """Return the paths of all pages, relative to docs/."""
    return sorted(str(path.relative_to(DOCS_FOLDER)) for path in DOCS_FOLDER.rglob("*.md"))


@cache
def read_blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    tokens = MarkdownIt().parse((DOCS_FOLDER / page).read_text())
    return [
        _block(page, token.map[0] + 1, token.info, token.content)
        for token in tokens
        if token.type == "fence" and token.map
    ]


def _block(page: str, line: int, info: str, text: str) -> Block:
    language, _, rest = info.strip().partition(" ")
    title = re.search(r'title="([^"]+)"', rest)
    marks = frozenset(re.findall(r"\.([a-z-]+)", re.sub(r'title="[^"]+"', "", rest)))
    return Block(page, line, language, marks, title[1] if title else None, text)


def list_blocks(language: str) -> list[Block]:
    """Return all blocks in a language."""
    return [
        block for page in list_pages() for block in read_blocks(page) if block.language == language
    ]
