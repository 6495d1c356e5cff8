"""Keeping a library from what it would load and nobody uses."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def hidden(module: str) -> Iterator[None]:
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
