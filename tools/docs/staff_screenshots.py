"""Take the pictures of docs/how-to/staff.md: sign-in, the page of staff, and the switch."""

import argparse
import tempfile
from pathlib import Path

from bson import ObjectId
from playwright.sync_api import Browser, Page

from documents.access.staff import Staff
from tools.testbed.cast import create_university
from tools.testbed.chromium import launch_chromium
from tools.testbed.pages import STAFF_PASSWORD, add_staff
from tools.testbed.readme import ROOT
from tools.testbed.stack import Stack, run_stack

WIDTHS = (390, 1600)
FOLDER = ROOT / "docs" / "images"
ANNA = "anna.adams@example.edu"
COLLEAGUES = (
    ("Ben Baker", "ben.baker@example.edu", "editor", True),
    ("Chioma Clark", "chioma.clark@example.edu", "viewer", True),
    ("Dilip Das", "dilip.das@example.edu", "viewer", False),
)


def main() -> None:
    """Take the pictures at two widths."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        run_stack(Path(data)) as stack,
        launch_chromium() as browser,
    ):
        _furnish(stack)
        for width in WIDTHS:
            _take(browser, stack.url, width)


def _furnish(stack: Stack) -> None:
    """Create two universities: Anna manages the staff of one, and sees the other."""
    here = create_university("Alma University", stack.api())
    here.fundraiser("Giving Day")
    anna = add_staff(here.id, ANNA)
    Staff.objects(id=anna.id).update(set__name="Anna Adams")
    for name, email, role, has_signed_in in COLLEAGUES:
        member = Staff.add(ObjectId(here.id), name, email, role)
        if has_signed_in:
            member.note_sign_in()
    there = create_university("Bolt College", stack.api())
    Staff.add(ObjectId(there.id), "Anna Adams", ANNA, "viewer")


def _take(browser: Browser, url: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700})
    page = context.new_page()
    page.goto(f"{url}/dashboard/sign-in")
    page.screenshot(path=FOLDER / f"sign-in-{width}.png")
    _sign_in(page)
    page.goto(f"{url}/dashboard/settings/staff")
    page.screenshot(path=FOLDER / f"staff-{width}.png", full_page=True)
    page.locator(".switch summary").click()
    page.screenshot(path=FOLDER / f"switch-{width}.png")
    context.close()


def _sign_in(page: Page) -> None:
    page.get_by_label("Email").fill(ANNA)
    page.get_by_label("Password").fill(STAFF_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Fundraisers").wait_for()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
