"""The shared stack of system tests, and an order in which few stacks start."""

import pytest

from tests.stacks import kept_stack, module_stack, pytest_runtest_teardown, uses_shared_stack

__all__ = ["kept_stack", "module_stack", "pytest_runtest_teardown"]
FOLDER = "tests/system/"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that share a stack before the others of this folder, by their settings."""
    places = [place for place, item in enumerate(items) if item.nodeid.startswith(FOLDER)]
    for place, item in zip(places, sorted((items[at] for at in places), key=rank), strict=True):
        items[place] = item


def rank(item: pytest.Item) -> int:
    """Return 0 for the common stack, 1 for one with a module's settings, and 2 for others."""
    if not uses_shared_stack(item):
        return 2
    return int(hasattr(getattr(item, "module", None), "stack_settings"))
