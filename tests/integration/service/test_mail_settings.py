"""`matchback mail test`, and what the settings page shows of mails."""

from collections.abc import Iterator

import pytest
from falcon import testing

from config.settings import get_settings
from tools.testbed.cast import University
from tools.testbed.command_line import run_matchback
from tools.testbed.mail_server import run_mail_server
from tools.testbed.pages import Browser, add_staff, extract_text

ALICE = "alice@example.edu"


@pytest.fixture(autouse=True)
def _forget_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def set_mail_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATCHBACK_SMTP_URL", url)
    monkeypatch.setenv("MATCHBACK_MAIL_FROM", "Matchback <matchback@example.edu>")
    get_settings.cache_clear()


def test_a_test_mail_shows_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_mail_server() as server:
        set_mail_server(server.url, monkeypatch)
        result = run_matchback("mail", "test", ALICE)
        assert (result.exit_code, result.output) == (0, "The server accepted the mail: 250 OK\n")
        (mail,) = server.received
        assert mail.recipients == [ALICE]
        assert mail.message["Subject"] == "Test mail from Matchback"
        server.answers[ALICE] = "550 No such user"
        result = run_matchback("mail", "test", ALICE)
        assert result.exit_code == 1
        assert "The server rejected the mail: 550 No such user" in result.output


def test_a_test_mail_explains_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    set_mail_server("smtp://alice:secret@127.0.0.1:1", monkeypatch)
    result = run_matchback("mail", "test", ALICE)
    assert result.exit_code == 1
    assert "The mail server cannot be used: Connection refused." in result.output
    assert "secret" not in result.output


def test_a_test_mail_needs_a_server_and_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATCHBACK_SMTP_URL", raising=False)
    get_settings.cache_clear()
    assert "Set MATCHBACK_SMTP_URL" in run_matchback("mail", "test", ALICE).output
    set_mail_server("smtp://127.0.0.1:1", monkeypatch)
    assert "Not a valid email address" in run_matchback("mail", "test", "alice\r\n@x").output


def test_the_settings_page_shows_whether_mails_are_sent(
    alice: University, client: testing.TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_staff(alice.id, ALICE, "admin")
    browser = Browser(client)
    browser.sign_in(ALICE)
    text = extract_text(browser.get("/dashboard/settings"))
    assert "Matchback sends no mails, because no mail server is set." in text
    set_mail_server("smtp://alice:secret@127.0.0.1:1", monkeypatch)
    text = extract_text(browser.get("/dashboard/settings"))
    assert "The sender is Matchback <matchback@example.edu>." in text
    assert "secret" not in text
