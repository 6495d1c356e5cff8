"""A browser, and a university whose staff use it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.stacks import kept_stack, module_stack, pytest_runtest_teardown
from tools.testbed.cast import University, create_university
from tools.testbed.chromium import launch_chromium
from tools.testbed.pages import STAFF_PASSWORD, add_staff
from tools.testbed.stack import Stack

__all__ = ["kept_stack", "module_stack", "pytest_runtest_teardown"]
# The service may reach the identity provider of the tests, which listens on this machine.
LOOPBACK = {"MATCHBACK_SIGN_ON_PRIVATE_NETWORKS": "127.0.0.0/8"}


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    """Start Debian's headless Chromium for all tests."""
    with launch_chromium() as browser:
        yield browser


@dataclass
class Desk:
    """A browser window of Alice's, with the errors and requests of its pages."""

    place: University
    context: BrowserContext
    page: Page
    url: str
    address: str
    complaints: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def complain(self, kind: str, text: str) -> None:
        """Record a message of the console, unless it is informational."""
        if kind != "info":
            self.complaints.append(f"{kind}: {text}")

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self) -> Page:
        page = self.open("/dashboard")
        page.get_by_label("Email").fill(self.address)
        page.get_by_label("Password").fill(STAFF_PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Fundraisers").wait_for()
        return page


def sit_down(chrome: Browser, stack: Stack, place: University, **options: Any) -> Desk:
    """Open a window that records console messages and requested addresses."""
    context = chrome.new_context(**options)
    desk = Desk(place, context, context.new_page(), stack.url, find_address(place))
    desk.page.on("console", lambda said: desk.complain(said.type, said.text))
    desk.page.on("pageerror", lambda error: desk.complaints.append(str(error)))
    desk.page.on("request", lambda request: desk.requested.append(request.url))
    return desk


def find_address(place: University) -> str:
    """Return Alice's address, which differs in each test because an address is unique."""
    return f"alice@{place.id}.example.edu"


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    """Return settings that all modules use, because another setting needs another start."""
    return LOOPBACK


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """Return one service for all tests. Each test has its own university."""
    return shared_stack


@pytest.fixture
def alice(stack: Stack) -> University:
    place = create_university("Alice's University", stack.api())
    add_staff(place.id, find_address(place))
    return place


@pytest.fixture
def desk(chrome: Browser, stack: Stack, alice: University) -> Iterator[Desk]:
    """Open Alice's window. At the end, check that it has no errors and no foreign requests."""
    desk = sit_down(chrome, stack, alice)
    yield desk
    desk.context.close()
    assert desk.complaints == []
    assert [url for url in desk.requested if not url.startswith(stack.url)] == []
