"""Alice resets her password: on a phone, by keyboard, in light and dark mode."""

import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from playwright.sync_api import Browser, Page, expect

from config.settings import get_settings
from documents.access.reset_link import PasswordResetLink
from documents.access.staff import Staff
from documents.values.time import now
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of
from service.dashboard.presentation.password_texts import write_change_mail, write_reset_mail
from service.dashboard.render import UTC, load_templates
from tests.browser.conftest import Desk, sit_down
from tests.browser.test_looks import assert_fits, serious
from tools.testbed.stack import Stack

WIDTHS = (390, 1600)
NEW_PASSWORD = "another horse battery"
LONG_ADDRESS = f"{'a' * 60}@{'department.' * 10}example.edu"


class QuietHandler(WSGIRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def mailing_url(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a service whose settings name a mail server, which the shared one lacks."""
    from service.app import create_app

    monkeypatch.setenv("MATCHBACK_SMTP_URL", "smtp://127.0.0.1:1")
    get_settings.cache_clear()
    server = make_server("127.0.0.1", 0, create_app(), handler_class=QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    monkeypatch.undo()
    get_settings.cache_clear()


def look(page: Page, name: str) -> None:
    for width in WIDTHS:
        assert_fits(page, name, width)
        assert serious(page) == [], (name, width)
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})


def make_link(desk: Desk) -> str:
    return PasswordResetLink.make(Staff.named(desk.address), now())


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-US"), ("dark", "de-DE")])
def test_the_pages_are_accessible_on_a_phone(
    chrome: Browser, desk: Desk, stack: Stack, mailing_url: str, scheme: str, locale: str
) -> None:
    window = sit_down(
        chrome, stack, desk.place, color_scheme=scheme, locale=locale, bypass_csp=True
    )
    page = window.page
    for name, path in {
        "sign in": "/dashboard/sign-in",
        "request": "/dashboard/password",
        "sent": "/dashboard/password?done=sent",
        "void": "/dashboard/password/new?token=void",
        "new password": f"/dashboard/password/new?token={make_link(desk)}",
        "changed": "/dashboard/sign-in?done=password",
    }.items():
        page.goto(mailing_url + path)
        look(page, name)
    page.goto(stack.url + "/dashboard/password")
    look(page, "without a mail server")
    window.context.close()


def test_alice_asks_for_a_link_by_keyboard(
    chrome: Browser, desk: Desk, stack: Stack, mailing_url: str
) -> None:
    window = sit_down(chrome, stack, desk.place)
    page = window.page
    page.goto(f"{mailing_url}/dashboard/sign-in")
    page.get_by_role("link", name="Forgot your password?").press("Enter")
    expect(page.get_by_label("Email")).to_be_focused()
    page.keyboard.type(desk.address)
    page.keyboard.press("Enter")
    page.get_by_text("an email with a link is on its way").wait_for()
    assert window.complaints == []
    window.context.close()


def test_alice_chooses_a_new_password_by_keyboard(desk: Desk) -> None:
    page = desk.open(f"/dashboard/password/new?token={make_link(desk)}")
    expect(page.get_by_label("New password")).to_be_focused()
    page.keyboard.type(NEW_PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_text("Password changed.").wait_for()
    page.get_by_label("Email").fill(desk.address)
    page.get_by_label("Password").fill(NEW_PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Fundraisers").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_mails_fit_and_are_accessible(chrome: Browser, scheme: Any) -> None:
    formats, url = formats_of(language_of("de-DE"), UTC), "https://giving.example.edu"
    page = chrome.new_page(color_scheme=scheme)
    for content in (
        write_reset_mail(LONG_ADDRESS, "a" * 43, now(), formats, url),
        write_change_mail(LONG_ADDRESS, now(), formats, url),
    ):
        page.set_content(load_templates().get_template("mail/notice.html").render(content=content))
        look(page, content.subject)
    page.close()
