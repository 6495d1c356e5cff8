"""Shares of the threads that wait for imports."""

from contextlib import ExitStack

import falcon
import pytest
from bson import ObjectId

from service.api.import_shares import CROWDED_IMPORT_COUNT, MAX_IMPORT_THREADS, ImportShares

SHARE = 4


def test_an_organization_gets_its_share_of_threads_back() -> None:
    shares, alice, charlie = ImportShares(SHARE), ObjectId(), ObjectId()
    with ExitStack() as running:
        for _ in range(SHARE):
            running.enter_context(shares.one_of(alice))
        with pytest.raises(falcon.HTTPServiceUnavailable), shares.one_of(alice):
            pass
        with shares.one_of(charlie):
            pass
    with shares.one_of(alice):
        pass


def test_many_slow_organizations_leave_threads_for_others() -> None:
    """Each organization takes every thread that it can get, and Charlie's import still gets one."""
    shares = ImportShares(SHARE)
    with ExitStack() as running:
        held = 0
        for _ in range(100):
            alike = ObjectId()
            for _ in range(SHARE):
                try:
                    running.enter_context(shares.one_of(alike))
                    held += 1
                except falcon.HTTPServiceUnavailable:
                    break
        assert CROWDED_IMPORT_COUNT < held < MAX_IMPORT_THREADS
        with shares.one_of(ObjectId()):
            pass
