"""Shared fixtures for tests of several documents."""

from collections.abc import Iterator

import pytest

from config.settings import get_settings
from documents.matching import late_touches
from tools.testbed.mail_server import MailServer, run_mail_server


@pytest.fixture(params=[0, late_touches.MAX_DIRECTLY_MARKED_GIFTS], ids=["noted", "marked"])
def late_touch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test both with noted late touches and with immediate marks on their gifts."""
    monkeypatch.setattr(late_touches, "MAX_DIRECTLY_MARKED_GIFTS", request.param)


@pytest.fixture
def mail_server(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """Run a mail server, and set it in the settings."""
    with run_mail_server() as server:
        monkeypatch.setenv("MATCHBACK_SMTP_URL", server.url)
        monkeypatch.setenv("MATCHBACK_MAIL_FROM", "Matchback <matchback@example.edu>")
        get_settings.cache_clear()
        yield server
