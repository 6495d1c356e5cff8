"""The site builds without warnings, has every page, and loads nothing from other servers."""

import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tools.docs.blocks import DOCS_FOLDER, list_pages
from tools.testbed.readme import ROOT

CONFIG = ROOT / "zensical.toml"
SOURCE = ("config", "documents", "jobs", "matchback", "service", "tools")
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """A page's links, the files that it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given["id"]} if "id" in given else set()
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if LOADED.get(tag) in given:
            self.loaded.append(given[LOADED[tag]])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Build a copy of the site, because the builder keeps a cache beside its source.

    Return its output.
    """
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(CONFIG, folder)
    shutil.copytree(DOCS_FOLDER, folder / "docs")
    for package in SOURCE:  # pages link to it
        (folder / package).symlink_to(ROOT / package)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return folder / site()["site_dir"], said


@pytest.fixture(scope="module")
def html(built: tuple[Path, str]) -> dict[str, Page]:
    """Return the pages by path, except the one for missing pages."""
    paths = (path for path in built[0].rglob("*.html") if path.name != "404.html")
    return {str(path.relative_to(built[0])): Page(path.read_text()) for path in paths}


def site() -> Any:
    return tomllib.loads(CONFIG.read_text())["project"]


def navigated(entries: list[dict[str, Any]]) -> list[str]:
    values = [value for entry in entries for value in entry.values()]
    return [
        path
        for value in values
        for path in (navigated(value) if isinstance(value, list) else [value])
    ]


def test_the_site_builds_without_warnings(built: tuple[Path, str]) -> None:
    assert "No issues found" in built[1]


def test_every_page_is_reachable(html: dict[str, Page]) -> None:
    assert sorted(navigated(site()["nav"])) == list_pages()
    assert {page.removesuffix(".md") for page in list_pages()} <= {
        page.removesuffix(".html") for page in html
    }


def test_every_link_has_a_target(built: tuple[Path, str], html: dict[str, Page]) -> None:
    for name, page in html.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "https", (name, link)
                assert "." in parts.netloc, (name, link)
                continue
            there = (
                (built[0] / name).parent / unquote(parts.path) if parts.path else built[0] / name
            )
            assert there.resolve().exists(), (name, link)
            if parts.fragment and there.suffix == ".html":
                target = html[str(there.resolve().relative_to(built[0].resolve()))]
                assert unquote(parts.fragment) in target.ids, (name, link)


def test_the_site_loads_nothing_from_other_servers(
    built: tuple[Path, str], html: dict[str, Page]
) -> None:
    for name, page in html.items():
        assert page.loaded, name
        for address in page.loaded:
            assert not urlsplit(address).netloc, (name, address)
    for style in built[0].rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", style.read_text()), style


def test_no_code_fence_is_shown_as_text(built: tuple[Path, str]) -> None:
    for path in built[0].rglob("*.html"):
        assert "```" not in path.read_text(), path
