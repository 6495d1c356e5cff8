"""Alice, who receives mails."""

import pytest

from documents.access.staff import Staff
from documents.mail.renderers import register_renderer
from documents.organization import Organization
from tests.integration.documents.mail.greetings import GREETING_KIND, render_greeting
from tools.testbed.mail_server import MailServer


@pytest.fixture
def alice(mail_server: MailServer) -> Staff:
    register_renderer(GREETING_KIND, render_greeting)
    organization = Organization.create("Alice's University")
    return Staff.add(organization.id, "Alice", "alice@example.edu", "admin")
