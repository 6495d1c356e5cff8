"""The glossary: each term once, in alphabetical order, with the file that defines it."""

import re
from typing import NamedTuple

import pytest

from tools.docs.blocks import DOCS_FOLDER
from tools.testbed.readme import ROOT

LONGEST_SENTENCE_WORDS = 25
MOST_SENTENCES = 2
EXPECTED = """batch contribution donation due email erasure event fundraiser gift instalment lease
    mailing match migration mutex organization pin plan policy recount rematch repair retention
    settle snapshot sweep touch transaction trouble turn user wake-up""".split()
EXPECTED += ["export outbox", "link token", "payment fact", "stand-in", "webhook delivery"]


# The file is a link to the source, under its own name.
ROW = re.compile(r"^\| (.+?) \| (.+) \| \[`(.+)`\]\(\.\./\3\) \|$", re.MULTILINE)


class Entry(NamedTuple):
    terms: tuple[str, ...]
    meaning: str
    file: str


def entries() -> list[Entry]:
    return [
        Entry(tuple(terms.split(", ")), meaning, file)
        for terms, meaning, file in ROW.findall((DOCS_FOLDER / "glossary.md").read_text())
    ]


def all_terms() -> list[str]:
    return [term for entry in entries() for term in entry.terms]


def test_each_row_is_an_entry() -> None:
    lines = (DOCS_FOLDER / "glossary.md").read_text().splitlines()
    assert len(entries()) == sum(line.startswith("|") for line in lines) - len(["head", "rule"])


def test_each_term_occurs_once() -> None:
    terms = [term.casefold() for term in all_terms()]
    assert [term for term in terms if terms.count(term) > 1] == []


def test_terms_are_in_alphabetical_order() -> None:
    terms = [entry.terms[0].casefold() for entry in entries()]
    assert terms == sorted(terms)


@pytest.mark.parametrize("term", EXPECTED)
def test_each_term_is_defined(term: str) -> None:
    assert term in all_terms()


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.terms[0])
def test_an_entry_is_short_and_names_an_existing_file(entry: Entry) -> None:
    assert (ROOT / entry.file).is_file()
    assert entry.meaning.endswith(".")
    sentences = re.split(r"(?<=\.) (?=[A-Z])", entry.meaning)
    assert len(sentences) <= MOST_SENTENCES
    assert max(len(sentence.split()) for sentence in sentences) <= LONGEST_SENTENCE_WORDS


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "docs/index.md", "zensical.toml"])
def test_readers_find_the_glossary(page: str) -> None:
    assert "glossary.md" in (ROOT / page).read_text()
