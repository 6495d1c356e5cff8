"""Shared fixtures of integration tests."""

from collections.abc import Iterator

import pytest

from config.settings import get_settings
from tools.testbed.mail_server import MailServer, run_mail_server


@pytest.fixture
def mail_server(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """Run a mail server, and set it in the settings."""
    with run_mail_server() as server:
        monkeypatch.setenv("MATCHBACK_SMTP_URL", server.url)
        monkeypatch.setenv("MATCHBACK_MAIL_FROM", "Matchback <matchback@example.edu>")
        get_settings.cache_clear()
        yield server
