"""The page on OWASP ASVS has each line of two chapters, and names tests that exist."""

import re

from tools.docs.blocks import DOCS_FOLDER
from tools.testbed.readme import ROOT

PAGE = (DOCS_FOLDER / "security.md").read_text()
LINES_BY_SECTION = {
    "6.1": 3,
    "6.2": 12,
    "6.3": 8,
    "6.4": 6,
    "6.5": 8,
    "6.6": 4,
    "6.7": 2,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 3,
    "7.6": 2,
}
RESULTS = {"met", "partly", "not met", "not used"}
ROW = re.compile(r"^\| (\d\.\d\.\d+) \(L[123]\) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST_NAME = re.compile(r"`(test_\w+)`")
EVIDENCE = re.compile(r"`test_\w+`|`documents/")


def test_the_page_has_each_line_of_the_chapters() -> None:
    expected = [
        f"{section}.{number}"
        for section, count in LINES_BY_SECTION.items()
        for number in range(1, count + 1)
    ]
    assert [number for number, _, _ in ROW.findall(PAGE)] == expected


def test_each_line_has_a_result_and_its_evidence() -> None:
    for number, result, text in ROW.findall(PAGE):
        assert result in RESULTS, number
        assert result != "met" or EVIDENCE.search(text), number


def test_the_named_tests_exist() -> None:
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert set(TEST_NAME.findall(PAGE)) - defined == set()
