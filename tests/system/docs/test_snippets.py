"""The documentation is correct: commands run, examples parse, and every omission is listed."""

import ast
import configparser
import json
import re
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import Settings
from tools.docs import session
from tools.docs.blocks import Block, list_blocks, list_pages, read_blocks
from tools.testbed.readme import ROOT

# Blocks are listed by their first line, so that a reviewer notices new ones.
NOT_RUN = {
    "tutorial.md": ["make setup"],  # tests themselves run in this
    "how-to/backup.md": ["mongodump …", "mongorestore …"],  # not packaged; see test_backup.py
    "how-to/warehouse.md": ["matchback warehouse worker"],  # `matchback up` runs it
    "how-to/secure.md": ["limit_conn_zone …"],  # no nginx
    # No provider; see test_sign_on_command.py.
    "how-to/sign-in-with-your-provider.md": [
        ".venv/bin/matchback sign-on domains …",
        ".venv/bin/matchback sign-on set …",
    ],
    "how-to/mail.md": ["matchback mail test …"],  # no mail server; see test_mail_settings.py
    "how-to/language.md": [".venv/bin/python -m tools.translations check"],  # test_catalogues.py
    # No systemd and no Docker; see tests/system/deploy and tests/system/test_package.py.
    "how-to/deploy.md": ["make dist", "python3 -m venv …", "mb() …", "docker build …"],
}
ELSEWHERE = {
    "how-to/add-a-provider.md": ("python", "tests/unit/docs/test_provider_pages.py"),
    "how-to/backup.md": ("sh", "tests/integration/docs/test_backup.py"),
    "how-to/providers/events.md": ("python", "tests/unit/docs/test_provider_pages.py"),
    "how-to/python-client.md": ("python", "tests/system/test_readme.py"),
    "explanation/engine.md": ("python", "tests/system/test_engine_for_others.py"),
    "how-to/warehouse.md": ("sql", "tests/integration/jobs/warehouse/test_docs.py"),
}
LANGUAGES = {"sh", "python", "json", "html", "yaml", "toml", "ini", "sql", "nginx", "text"}
ASSIGNMENT = re.compile(r"^(?:export )?(MATCHBACK_[A-Z_]+)=(\S+)", re.MULTILINE)
VOID = {"input", "br", "img", "meta", "link", "hr"}


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """Follow all pages with commands as one reader does, with one running Matchback."""
    folder = tmp_path_factory.mktemp("reader")
    with session.start_tutorial(folder):
        yield session.run_session(folder)


def test_every_command_runs(followed: tuple[dict[str, str], str]) -> None:
    told, trouble = followed
    assert not trouble
    assert list(told) == [block.place for block in session.list_steps()]


ANSWERS = [
    (before, block)
    for page in session.READER_PAGES
    for before, block in zip(read_blocks(page), read_blocks(page)[1:], strict=False)
    if "answer" in block.marks
]


@pytest.mark.parametrize(("asked", "answer"), ANSWERS, ids=[block.place for _, block in ANSWERS])
def test_commands_print_what_the_page_shows(
    followed: tuple[dict[str, str], str], asked: Block, answer: Block
) -> None:
    told = followed[0].get(asked.place)
    assert told is not None, followed[1]
    if answer.language == "json":
        shown, said = json.loads(answer.text), json.loads(told.splitlines()[-1])
        assert has(said, shown), said
        return
    lines = answer.text.splitlines()
    assert len(lines) == len(told.splitlines()), told
    assert all(map(alike, told.splitlines(), lines)), told


def has(said: Any, shown: Any) -> bool:
    """Return whether a response has everything in the example. Lists must match completely."""
    if isinstance(shown, dict):
        return all(name in said and has(said[name], value) for name, value in shown.items())
    if isinstance(shown, list):
        return len(said) == len(shown) and all(map(has, said, shown))
    return alike(said, shown) if isinstance(shown, str) else bool(said == shown)


def alike(said: str, shown: str) -> bool:
    return re.fullmatch(re.escape(shown).replace("…", ".*"), said) is not None


def test_blocks_that_do_not_run_are_listed() -> None:
    left: dict[str, list[Block]] = {}
    for page in list_pages():
        if found := [block for block in read_blocks(page) if "not-run" in block.marks]:
            left[page] = found
    assert left.keys() == NOT_RUN.keys()
    for page, listed in NOT_RUN.items():
        assert len(left[page]) == len(listed)
        for block, line in zip(left[page], listed, strict=True):
            assert alike(block.first_line, line), block.place


def test_a_test_checks_each_block() -> None:
    for page in list_pages():
        language, _ = ELSEWHERE.get(page, ("", ""))
        for block in read_blocks(page):
            assert block.language in LANGUAGES, block.place
            if block.language in {"sh", "python", "sql", "nginx"} and block.language != language:
                is_run = page in session.READER_PAGES and block.language in session.RUN_LANGUAGES
                assert is_run or block.marks & session.SKIPPED_MARKS, block.place


@pytest.mark.parametrize("page", ELSEWHERE)
def test_blocks_run_by_other_tests_are_run(page: str) -> None:
    _, test = ELSEWHERE[page]
    assert f'{Path(page).name}"' in (ROOT / test).read_text()


def test_documented_settings_are_valid(tmp_path: Path) -> None:
    shown = [pair for block in list_blocks("sh") for pair in ASSIGNMENT.findall(block.text)]
    assert len(shown) >= 10
    for name, value in shown:
        if "$" not in value:
            # The check looks for the folder of a queue.
            Settings.from_env({name: value.replace("/var/lib/matchback", str(tmp_path))})
    for block in list_blocks("sh"):
        if "settings" in block.marks:
            assert all(map(ASSIGNMENT.match, block.text.splitlines())), block.place


@pytest.mark.parametrize("block", list_blocks("python"), ids=lambda block: block.place)
def test_python_blocks_compile(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("language", ["json", "yaml", "toml", "ini"])
def test_data_blocks_parse(language: str) -> None:
    readers: dict[str, Any] = {
        "json": json.loads,
        "yaml": yaml.safe_load,
        "toml": tomllib.loads,
        "ini": configparser.ConfigParser().read_string,
    }
    for block in list_blocks(language):
        readers[language](block.text)


def test_html_tags_are_closed() -> None:
    for block in list_blocks("html"):
        Tags().check(block.text)


class Tags(HTMLParser):
    """A parser that checks whether each tag is closed in its place."""

    def check(self, text: str) -> None:
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open += [tag] if tag not in VOID else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_fragments_use_existing_names() -> None:
    """A fragment lacks keys and addresses, but not modules."""
    for block in list_blocks("python"):
        if "fragment" in block.marks:
            imports: list[ast.stmt] = [
                node
                for node in ast.parse(block.text).body
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
            exec(compile(ast.Module(imports, []), block.place, "exec"), {})


def test_a_missing_or_wrong_answer_is_detected() -> None:
    assert has({"a": 1, "b": {"c": "xyz"}}, {"b": {"c": "x…"}})
    assert not has({"a": 1}, {"a": 2})
    assert not has({"a": 1}, {"b": 1})
    assert not has({"a": [1, 2]}, {"a": [1]})
    assert not alike("1 counters off", "0 counters off")
