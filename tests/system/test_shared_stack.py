"""Tests that share a stack run one after another, and the stack stops before any other test."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.stacks import SHARED, keeps_stack
from tests.system.conftest import pytest_collection_modifyitems


def item(name: str, *fixtures: str, **module: Any) -> Any:
    return SimpleNamespace(nodeid=name, fixturenames=fixtures, module=SimpleNamespace(**module))


def test_tests_with_equal_settings_follow_one_another() -> None:
    items = [
        item("tests/browser/a", SHARED),
        item("tests/system/a", "real_database"),
        item("tests/system/b", SHARED, stack_settings={}),
        item("tests/system/c", SHARED),
        item("tests/unit/a"),
    ]
    pytest_collection_modifyitems(items)
    assert [each.nodeid.removeprefix("tests/") for each in items] == [
        *("browser/a", "system/c", "system/b", "system/a", "unit/a")
    ]


@pytest.mark.parametrize(
    ("following", "keeps"),
    [
        (item("tests/system/b", SHARED, "real_servers"), True),
        (item("tests/system/b"), True),
        (item("tests/system/b", "real_servers"), False),
        (item("tests/unit/b"), False),
        (None, False),
    ],
)
def test_a_stack_ends_before_a_test_that_empties_its_database(following: Any, keeps: bool) -> None:
    assert keeps_stack(item("tests/system/a", SHARED), following) is keeps
