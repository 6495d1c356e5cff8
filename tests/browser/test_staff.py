"""Alice invites a colleague, changes the role, and removes the colleague, by keyboard."""

from playwright.sync_api import Page, expect

from documents.access.staff import Staff
from tests.browser.conftest import Desk
from tests.browser.test_looks import assert_fits, serious, tab_to

PAGE = "/dashboard/settings/staff"


def look_at(page: Page, name: str) -> None:
    for width in (1600, 390):
        assert_fits(page, name, width)
    assert serious(page) == [], name


def test_staff_are_managed_by_keyboard(desk: Desk) -> None:
    email = f"ben@{desk.place.id}.example.edu"
    desk.sign_in()
    page = desk.open("/dashboard/settings")
    look_at(page, "settings")
    tab_to(page, page.get_by_role("link", name="Manage staff"))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Invite a person").wait_for()
    tab_to(page, page.get_by_label("Email"))
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type("Ben Baker")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Invitation").wait_for()  # no mail server is set
    expect(page.locator("code.secret")).to_contain_text("/dashboard/sign-in/link?token=")
    look_at(page, "invitation")
    tab_to(page, page.get_by_role("link", name="Done"))
    page.keyboard.press("Enter")

    row = page.get_by_role("row").filter(has_text=email)
    expect(row).to_contain_text("Never")
    tab_to(page, row.get_by_label("Role"))
    page.keyboard.press("e")  # Editor
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Role changed.")).to_be_visible()
    assert Staff.named(email).role == "editor"
    look_at(page, "staff")

    tab_to(page, row.locator("summary"))
    page.keyboard.press("Enter")
    look_at(page, "opened")
    tab_to(page, row.get_by_role("button", name="Remove"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Staff member removed.")).to_be_visible()
    assert Staff.known(email) is None
