"""The page on OWASP ASVS has each line of its sections, and names tests that exist."""

import re
from typing import get_args

from documents.access.grants import GrantWay
from tools.docs.blocks import DOCS_FOLDER
from tools.testbed.readme import ROOT

PAGE = (DOCS_FOLDER / "security.md").read_text()
LINES_BY_SECTION: dict[str, int | tuple[int, ...]] = {
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
    "9.1": 3,
    "9.2": 4,
    "10.1": 2,
    "10.2": 3,
    "10.4": (6, 10, 13, 14, 16),  # the lines that need the client
    "10.5": 5,
}
# What a session notes for each way in. A reset begins no session.
WAYS_BY_ROW: dict[str, set[GrantWay]] = {
    "password": {"password", "limited password"},
    "reset link by mail": set(),
    "invitation": {"invitation", "link elsewhere"},
    "`matchback staff link` (break-glass)": {"link", "link elsewhere"},
    "link of `matchback up --demo`": {"link"},
    "single sign-on": {"single sign-on"},
}
# The account page begins a session in place of the present one, after a change of the password.
MODULES_THAT_BEGIN_SESSIONS = {
    *("dashboard/pages/sign_in.py", "dashboard/pages/sign_on.py", "dashboard/pages/account.py"),
    "dashboard/session_start.py",
}
RESULTS = {"met", "partly", "not met", "not used"}
ROW = re.compile(r"^\| (\d+\.\d\.\d+) \(L[123]\) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST_NAME = re.compile(r"`(test_\w+)`")
EVIDENCE = re.compile(r"`test_\w+`|`documents/")


def test_the_page_has_each_line_of_the_chapters() -> None:
    expected = [
        f"{section}.{number}"
        for section, count in LINES_BY_SECTION.items()
        for number in (range(1, count + 1) if isinstance(count, int) else count)
    ]
    assert [number for number, _, _ in ROW.findall(PAGE)] == expected


def test_each_line_has_a_result_and_its_evidence() -> None:
    for number, result, text in ROW.findall(PAGE):
        assert result in RESULTS, number
        assert result != "met" or EVIDENCE.search(text), number


def test_each_way_in_is_documented() -> None:
    part = PAGE.partition("## Ways in")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!way |---)([^|]+) \|", part, re.MULTILINE)
    assert rows == list(WAYS_BY_ROW)
    assert set().union(*WAYS_BY_ROW.values()) == set(get_args(GrantWay))
    service = ROOT / "service"
    begin = {
        str(path.relative_to(service))
        for path in service.rglob("*.py")
        if re.search(r"\b(begin|continue)_session\(|StaffSession\.begin\(", path.read_text())
    }
    assert begin == MODULES_THAT_BEGIN_SESSIONS


def test_the_named_tests_exist() -> None:
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert set(TEST_NAME.findall(PAGE)) - defined == set()
