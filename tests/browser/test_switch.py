"""Anna works for two universities, and switches between them with the keyboard."""

import pytest
from bson import ObjectId
from playwright.sync_api import Page, expect

from documents.access.staff import Staff
from tests.browser.conftest import Desk
from tests.browser.test_looks import assert_fits, serious
from tools.testbed.cast import University, create_university
from tools.testbed.stack import Stack

LONG_NAME = "The Regents of a University with a Very Long Name, Department of Development " * 2


@pytest.fixture
def second(desk: Desk, stack: Stack) -> University:
    place = create_university(LONG_NAME.strip(), stack.api())
    Staff.add(ObjectId(place.id), "Anna", desk.address, "admin")
    return place


def open_switch(page: Page) -> None:
    page.locator(".switch summary").focus()
    page.keyboard.press("Enter")


def test_the_switch_works_by_keyboard_at_390_pixels(desk: Desk, second: University) -> None:
    second.fundraiser("Second Day")
    desk.place.fundraiser("First Day")
    page = desk.sign_in()
    for width in (390, 1600):
        assert_fits(page, "closed", width)
        open_switch(page)
        assert_fits(page, "open", width)
        menu = page.locator(".switch form").bounding_box()
        assert menu
        assert menu["x"] >= 0
        assert menu["x"] + menu["width"] <= width
        assert serious(page) == []
        page.keyboard.press("Enter")
    page.set_viewport_size({"width": 390, "height": 900})
    expect(page.get_by_role("link", name="First Day")).to_be_visible()
    open_switch(page)
    page.get_by_role("button", name="The Regents").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Second Day")).to_be_visible()
    expect(page.get_by_role("link", name="First Day")).to_have_count(0)


def test_an_open_tab_reloads_when_another_tab_switches(desk: Desk, second: University) -> None:
    second.fundraiser("Second Day")
    desk.place.fundraiser("First Day")
    page = desk.sign_in()
    expect(page.get_by_role("link", name="First Day")).to_be_visible()
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    tab = desk.context.new_page()
    tab.goto(f"{desk.url}/dashboard")
    open_switch(tab)
    tab.get_by_role("button", name="The Regents").click()
    expect(tab.get_by_role("link", name="Second Day")).to_be_visible()
    page.bring_to_front()
    desk.place.fundraiser("Late Day")  # the stream of the first tab reports it
    expect(page.get_by_role("link", name="Second Day")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("link", name="First Day")).to_have_count(0)
    expect(page.get_by_role("link", name="Late Day")).to_have_count(0)


def test_a_form_of_an_old_tab_changes_nothing_and_offers_to_switch_back(
    desk: Desk, second: University
) -> None:
    page = desk.sign_in()
    desk.open("/dashboard/settings")
    tab = desk.context.new_page()
    tab.goto(f"{desk.url}/dashboard/account")
    open_switch(tab)
    tab.get_by_role("button", name="The Regents").click()
    tab.get_by_role("heading", name="Fundraisers").wait_for()
    page.get_by_label("Hide names and addresses of donors from viewers").check()
    page.locator('form[action="/dashboard/privacy"] button').click()
    page.get_by_role("heading", name="Another organization is shown").wait_for()
    assert_fits(page, "another organization", 390)
    page.get_by_role("button", name="Switch to Alice's University").click()
    expect(page.locator(".switch summary")).to_contain_text("Alice's University")
    desk.complaints.clear()  # the console reports the status 409
