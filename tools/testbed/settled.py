"""Settling within the test's own process, without a worker."""

from documents.recount import recount
from jobs.sweep import sweep_due_records


def settle_all() -> None:
    """Settle everything that is due, and assert that every counter is correct."""
    while sweep_due_records():
        pass
    assert list(recount.find_drifts()) == []
