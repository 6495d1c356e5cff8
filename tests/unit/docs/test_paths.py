"""Files that the documentation and the module docstrings name; each must exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tools.docs.blocks import DOCS_FOLDER
from tools.testbed.readme import ROOT

PACKAGES = ("config", "documents", "jobs", "matchback", "service", "tests", "tools")
TOP = (*PACKAGES, "deploy", "docs", "examples")
NAMED = re.compile(
    rf"(?<![\w./-])(?:(?:{'|'.join(TOP)})/[\w./-]*[\w/]|(?:[\w-]+/)*[\w.-]*\w\.py)(?![\w*])"
)
SAVED_AS = re.compile(r'title="([\w.]+)"')  # files that the reader of a page creates
PAGES = [*ROOT.glob("*.md"), ROOT / "deploy" / "README.md", *sorted(DOCS_FOLDER.rglob("*.md"))]


@cache
def existing() -> set[str]:
    """Return every ending of every path, such as "a/b.py" and "b.py"."""
    paths = [path.relative_to(ROOT) for top in TOP for path in (ROOT / top).rglob("*")]
    paths += [path.relative_to(ROOT) for path in ROOT.glob("*.py")] + [Path(top) for top in TOP]
    return {"/".join(path.parts[at:]) for path in paths for at in range(len(path.parts))}


def missing(text: str) -> set[str]:
    named = {match.group().rstrip("/.") for match in NAMED.finditer(text)}
    return named - existing()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_existing_files(page: Path) -> None:
    text = page.read_text()
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    assert missing("\n".join(spans)) - set(SAVED_AS.findall(text)) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_module_docstrings_name_existing_files(package: str) -> None:
    wrong = {}
    for path in (ROOT / package).rglob("*.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        if found := missing(docstring) - set(SAVED_AS.findall(docstring)):
            wrong[str(path.relative_to(ROOT))] = found
    assert wrong == {}


@pytest.mark.parametrize("name", ["documents/engine/", "service/web/stream.py", "tallying.py"])
def test_a_moved_file_is_detected(name: str) -> None:
    assert missing(f"see {name}")
