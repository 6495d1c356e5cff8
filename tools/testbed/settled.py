"""Settling within the test's own process, without a worker."""

from documents.recount import recount
from jobs.sweep import sweep


def settle() -> None:
    """Settle everything that is due, and assert that every counter is correct."""
    while sweep():
        pass
    assert list(recount.recount()) == []
