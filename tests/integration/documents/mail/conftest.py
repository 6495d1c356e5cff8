"""The mail server of the settings, and Alice, who receives mails."""

from collections.abc import Iterator

import pytest

from config.settings import get_settings
from documents.access.staff import Staff
from documents.mail.renderers import register_renderer
from documents.organization import Organization
from tests.integration.documents.mail.greetings import GREETING_KIND, render_greeting
from tools.testbed.mail_server import MailServer, run_mail_server


@pytest.fixture
def mail_server(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with run_mail_server() as server:
        monkeypatch.setenv("MATCHBACK_SMTP_URL", server.url)
        monkeypatch.setenv("MATCHBACK_MAIL_FROM", "Matchback <matchback@example.edu>")
        get_settings.cache_clear()
        register_renderer(GREETING_KIND, render_greeting)
        yield server


@pytest.fixture
def alice(mail_server: MailServer) -> Staff:
    organization = Organization.create("Alice's University")
    return Staff.add(organization.id, "Alice", "alice@example.edu", "admin")
