"""Optional imports for library features that Matchback does not use, and a way to skip them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def hide_module(module: str) -> Iterator[None]:
    """Make imports of this module fail within the block, as if it were not installed."""
    modules: dict[str, Any] = sys.modules
    if module in modules:
        yield
        return
    modules[module] = None
    try:
        yield
    finally:
        del modules[module]
