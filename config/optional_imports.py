"""Imports that a library makes for features that Matchback does not use, and how to skip them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def hide_module(module: str) -> Iterator[None]:
    """Within, importing this module fails, as if it were not installed. For optional imports."""
    modules: dict[str, Any] = sys.modules
    if module in modules:
        yield
        return
    modules[module] = None
    try:
        yield
    finally:
        del modules[module]
