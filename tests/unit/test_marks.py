"""The folder of a test sets its mark."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import FOLDERS, HERE, pytest_collection_modifyitems


class Item:
    """A test at a path, which keeps its marks."""

    def __init__(self, path: str) -> None:
        self.path, self.nodeid = HERE / path, f"tests/{path}"
        self.marks: list[str] = []

    def add_marker(self, mark: str) -> None:
        self.marks.append(mark)


def marks(*paths: str) -> list[list[str]]:
    items: list[Any] = [Item(path) for path in paths]
    pytest_collection_modifyitems(items)
    return [item.marks for item in items]


def test_this_test_has_the_mark_of_its_folder(request: pytest.FixtureRequest) -> None:
    assert [mark.name for mark in request.node.iter_markers()] == ["unit"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_has_a_mark(folder: str) -> None:
    assert marks(f"{folder}/test_a.py", f"{folder}/unit/browser/test_b.py") == [[folder], [folder]]


@pytest.mark.parametrize("path", ["test_a.py", "other/test_a.py", "units/test_a.py"])
def test_a_test_in_another_folder_stops_the_run(path: str) -> None:
    with pytest.raises(pytest.UsageError, match="Move "):
        marks(path)


def test_a_test_outside_of_the_folder_stays_unmarked() -> None:
    outside: Any = SimpleNamespace(path=HERE.parent / "elsewhere" / "test_a.py", nodeid="x")
    pytest_collection_modifyitems([outside])
