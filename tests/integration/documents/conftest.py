"""What tests of several documents share."""

import pytest

from documents.matching import late_touches


@pytest.fixture(params=[0, late_touches.MAX_DIRECTLY_MARKED_GIFTS], ids=["noted", "marked"])
def late_touch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gifts of a touch that is learned of late are noted, or are marked at once."""
    monkeypatch.setattr(late_touches, "MAX_DIRECTLY_MARKED_GIFTS", request.param)
