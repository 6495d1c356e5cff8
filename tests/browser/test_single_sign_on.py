"""Alice signs in through her university's provider, in a real browser.

The provider is an independent one, except where the test has to sign a logout token.
"""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from bson import ObjectId
from playwright.sync_api import Browser, Page, Route, expect

from config.settings import get_settings
from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.organization import Organization
from documents.sign_on.sign_on_provider import SignOnProvider
from tests.browser.conftest import LOOPBACK, Desk, sit_down
from tests.browser.test_looks import assert_fits, serious, tab_to
from tools.testbed.cast import University, create_university
from tools.testbed.identity_provider import CLIENT_ID, CLIENT_SECRET, run_identity_provider
from tools.testbed.mock_provider import run_mock_provider
from tools.testbed.pages import add_staff
from tools.testbed.stack import Stack

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
SETTINGS = "/dashboard/settings/sign-on"


@pytest.fixture(autouse=True)
def private_networks(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> Iterator[None]:
    """Let this process store the provider that the service's processes use."""
    for name, value in LOOPBACK.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    people: list[dict[str, Any]] = [
        {"sub": "alice", "email": "alice@example.edu", "groups": ["leads"]},
        {"sub": "ben", "email": "ben@example.edu", "groups": ["others"]},
    ]
    with run_mock_provider(*({"email_verified": True, "name": "A", **one} for one in people)) as at:
        yield at


def set_provider(place: University, issuer: str, domain: str, **rules: Any) -> None:
    stored = SignOnProvider.put(ObjectId(place.id), issuer, CLIENT_ID, CLIENT_SECRET)
    stored.set_domains([domain]).set_rules(**rules)


@pytest.fixture
def place(stack: Stack, issuer: str) -> Iterator[University]:
    place = create_university("Alice's University", stack.api())
    rules = {"admission": "group", "group_roles": {"leads": "admin"}}
    set_provider(place, issuer, "example.edu", **rules)
    yield place
    SignOnProvider.objects(organization_id=place.id).update(set__domains=[])
    for one in Staff.live(ObjectId(place.id)):
        remove_member(one, may_be_last_admin=True)


@pytest.fixture
def window(chrome: Browser, stack: Stack, place: University) -> Iterator[Desk]:
    window = sit_down(chrome, stack, place)
    yield window
    window.context.close()
    # The provider's own pages may complain, but no page of Matchback breaks its policy.
    assert [one for one in window.complaints if "Content Security Policy" in one] == []


def look_at(page: Page, name: str) -> None:
    for width in (390, 1600):
        assert_fits(page, name, width)
    assert serious(page) == [], name


def go_to_provider(page: Page, email: str) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Email").press("Enter")
    page.get_by_role("button", name="Authorize").wait_for()


def sign_in(window: Desk, sub: str) -> Page:
    page = window.open("/dashboard/sign-in")
    go_to_provider(page, f"{sub}@example.edu")
    page.get_by_role("button", name=sub, exact=True).click()
    return page


def test_alice_signs_in_by_keyboard_and_out_at_both(window: Desk, issuer: str) -> None:
    page = window.open("/dashboard/gifts")
    expect(page.get_by_label("Email")).to_be_focused()
    look_at(page, "sign in")
    page.keyboard.type("alice@example.edu")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Authorize").wait_for()
    assert page.url.startswith(f"{issuer}/oauth2/authorize")
    page.get_by_role("button", name="alice", exact=True).click()
    page.get_by_role("heading", name="Gifts", level=1).wait_for()  # the wanted page
    expect(page.get_by_role("link", name="Settings")).to_be_visible()  # an admin by group
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{issuer}/oauth2/end_session**")
    window.open("/dashboard")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_rejected_person_learns_why_and_the_admin_requires_it(
    window: Desk, chrome: Browser, stack: Stack, place: University
) -> None:
    page = sign_in(window, "ben")
    page.get_by_role("heading", name="You are not signed in").wait_for()
    expect(page.locator("main")).to_contain_text("None of your groups gives access")
    look_at(page, "rejected")

    page = sign_in(window, "alice")
    page.get_by_role("heading", name="Fundraisers").wait_for()
    window.open(SETTINGS)
    expect(page.locator("main")).to_contain_text("no_group")
    look_at(page, "settings")
    page.get_by_role("button", name="Check the provider").click()
    expect(page.get_by_role("status").filter(has_text="The provider answers")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Require single sign-on"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Accept passwords again")).to_be_visible()

    add_staff(place.id, "ben@example.edu")
    other = sit_down(chrome, stack, place)
    other.address = "ben@example.edu"
    page = other.open("/dashboard")
    page.get_by_label("Email").fill(other.address)
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Incorrect email or password")
    page = other.open(f"/dashboard/sign-in?organization={place.id}")
    expect(page.get_by_label("Password")).to_have_count(0)
    look_at(page, "required")
    expect(page.get_by_role("button", name="Continue")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Authorize").wait_for()
    other.context.close()


def test_organizations_of_one_domain_are_offered(
    window: Desk, stack: Stack, issuer: str, place: University
) -> None:
    second = create_university("Alice's Law School", stack.api())
    set_provider(second, issuer, "example.edu", admission="domain")
    page = window.open("/dashboard/sign-in")
    page.get_by_label("Email").fill("alice@example.edu")
    page.get_by_label("Email").press("Enter")
    page.get_by_role("heading", name="Choose your organization").wait_for()
    look_at(page, "choice")
    page.get_by_role("button", name="Alice's Law School").click()
    page.get_by_role("button", name="alice", exact=True).click()
    page.get_by_role("heading", name="Fundraisers").wait_for()
    expect(page.locator("header")).to_contain_text("Alice's Law School")
    SignOnProvider.objects(organization_id=second.id).update(set__domains=[])


def test_the_switch_has_each_organization_that_the_browser_has_signed_in_to(
    window: Desk, stack: Stack, issuer: str, place: University
) -> None:
    """It names no other organization, because the provider could assert any address."""
    second = create_university("Second University", stack.api())
    set_provider(second, issuer, "second.example.edu", admission="invited")
    page = sign_in(window, "alice")
    page.get_by_role("heading", name="Fundraisers").wait_for()
    Staff.add(ObjectId(second.id), "Alice", "alice@example.edu", "viewer")
    Organization.objects(id=second.id).update(set__requires_single_sign_on=True)
    page = sign_in(window, "alice")
    expect(page.locator(".switch")).to_have_count(0)
    page = window.open("/dashboard/account")
    expect(page.get_by_role("link", name="Sign in to another organization")).to_be_visible()
    look_at(page, "account")
    page = window.open(f"/dashboard/sign-in?organization={second.id}")
    page.get_by_role("button", name="Continue to your organization's sign-in").click()
    page.get_by_role("button", name="alice", exact=True).click()
    expect(page.locator(".switch summary")).to_contain_text("Second University")
    page.locator(".switch summary").click()
    page.get_by_role("button", name="Alice's University").click()  # its grant is still there
    expect(page.locator(".switch summary")).to_contain_text("Alice's University")


def test_a_back_channel_logout_ends_the_session_at_the_next_request(
    window: Desk, place: University
) -> None:
    with run_identity_provider() as idp:
        set_provider(place, idp.issuer, "example.edu", admission="domain")

        def answer(route: Route) -> None:
            query = urlencode(idp.authorize(route.request.url))
            at = f"{window.url}/dashboard/sign-in/sso/{place.id}?{query}"
            route.fulfill(status=302, headers={"location": at})

        window.page.route("**/authorize?*", answer)
        page = window.open("/dashboard/sign-in")
        page.get_by_label("Email").fill("alice@example.edu")
        page.get_by_label("Email").press("Enter")
        page.get_by_role("heading", name="Fundraisers").wait_for()
        seconds = int(time.time())
        claims = {"iss": idp.issuer, "aud": CLIENT_ID, "iat": seconds, "exp": seconds + 60}
        claims |= {"jti": "once", "sub": "alice-at-the-provider", "events": {LOGOUT_EVENT: {}}}
        posted = httpx.post(
            f"{window.url}/dashboard/sign-out/back-channel/{place.id}",
            data={"logout_token": idp.sign(claims)},
        )
        assert posted.status_code == 200, posted.text
        window.open("/dashboard/gifts")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_new_rules_of_a_required_sign_on_wait_for_the_admins_sign_in(
    window: Desk, place: University
) -> None:
    page = sign_in(window, "alice")
    page.get_by_role("heading", name="Fundraisers").wait_for()
    window.open(SETTINGS)
    page.get_by_role("button", name="Require single sign-on").click()
    page.get_by_label("Claim with the groups").fill("roles")
    page.get_by_role("button", name="Save rules").click()
    expect(page.get_by_role("heading", name="New settings wait for a sign-in")).to_be_visible()
    look_at(page, "waiting")
    page.get_by_role("button", name="Sign in with the new settings").click()
    page.get_by_role("button", name="alice", exact=True).click()
    expect(page.locator("main")).to_contain_text("groups_missing")
    window.open(SETTINGS)  # the session is still there
    page.get_by_label("Claim with the groups").fill("groups")
    page.get_by_label("Viewer").last.fill("others")
    page.get_by_role("button", name="Save rules").click()
    tab_to(page, page.get_by_role("button", name="Sign in with the new settings"))
    page.keyboard.press("Enter")
    page.get_by_role("button", name="alice", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="The new settings work")).to_be_visible()
    expect(page.get_by_role("heading", name="New settings wait for a sign-in")).to_have_count(0)
    provider = SignOnProvider.of(ObjectId(place.id))
    assert provider
    assert provider.policy.group_roles == {"leads": "admin", "others": "viewer"}
