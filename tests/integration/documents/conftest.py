"""Shared fixtures for tests of several documents."""

import pytest

from documents.matching import late_touches
from documents.organization import Organization


@pytest.fixture(params=[0, late_touches.MAX_DIRECTLY_MARKED_GIFTS], ids=["noted", "marked"])
def late_touch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test both with noted late touches and with immediate marks on their gifts."""
    monkeypatch.setattr(late_touches, "MAX_DIRECTLY_MARKED_GIFTS", request.param)


@pytest.fixture
def alma(real_database: str) -> Organization:
    return Organization.create("Alma University")


@pytest.fixture
def bolt(real_database: str) -> Organization:
    return Organization.create("Bolt University")
