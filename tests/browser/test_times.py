"""Pages of periods, of earlier times and of changes: at every width, by keyboard, and not live."""

import os
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Desk, sit_down
from tests.browser.test_live import SOON
from tests.browser.test_looks import WIDTHS, assert_fits, serious, tab_to
from tools.testbed.cast import University
from tools.testbed.stack import Stack, wait_until

ZONE = ZoneInfo("America/New_York")
DAYS, STEP = 420, 12
NAME = "Spring Giving Day of the Friends of the Botanical Garden"


def prepare(place: University) -> dict[str, str]:
    """Create gifts over more than a year, and changes of some of them after a noted time."""
    place.call("PATCH", "/v1/organization", {"time_zone": ZONE.key})
    spring = place.fundraiser(NAME)
    mailing = place.mailing(spring, name=f"Appeal of {NAME}", sent_at="2026-01-02T10:00:00Z")
    gifts = []
    today = datetime.now(UTC)
    for number, ago in enumerate(range(0, DAYS, STEP)):
        at = today - timedelta(days=ago, minutes=5)
        email = place.email(
            spring,
            {"name": f"Donor {number}", "email": f"donor{number}@example.edu"},
            mailing_id=mailing,
            sent_at=(at - timedelta(hours=number**2 / 3)).isoformat(timespec="seconds"),
        )
        given = at.isoformat(timespec="seconds")
        gifts.append(place.gift(spring, 2_500 + number * 700, email_id=email, donated_at=given))
    place.gift(spring, 4_400, currency="EUR", donated_at=today.isoformat(timespec="seconds"))
    wait_until(lambda: is_settled(place, spring), "everything to be counted")
    noted = place.report(spring)["as_of"]
    time.sleep(0.002)  # times have milliseconds
    place.call("PATCH", f"/v1/donations/{gifts[0]}", {"refunded_amount": 900})
    place.call("DELETE", f"/v1/donations/{gifts[1]}")
    place.call("PUT", f"/v1/donations/{gifts[2]}/match", {"email_id": None})
    place.gift(spring, 9_900, {"name": "Eve", "email": "eve@example.org"})
    wait_until(lambda: is_settled(place, spring), "the changes to be counted")
    return {"fundraiser": spring, "mailing": mailing, "noted": noted}


def is_settled(place: University, fundraiser: str) -> bool:
    return not place.report(fundraiser)["unsettled"]["donations"]


def list_paths(ids: dict[str, str]) -> dict[str, str]:
    fundraiser = f"/dashboard/fundraisers/{ids['fundraiser']}"
    mailing = f"/dashboard/mailings/{ids['mailing']}"
    return {
        "period-month": f"{fundraiser}?period=last_30_days",
        "period-whole": f"{fundraiser}?period=whole",
        "mailing": f"{mailing}?period=whole",
        "past": f"{fundraiser}?as_of={ids['noted']}",
        "past-mailing": f"{mailing}?as_of={ids['noted']}",
        "changes": f"{fundraiser}/changes?from={ids['noted']}",
    }


def take_picture(page: Page, name: str, width: int, scheme: str) -> None:
    """Keep a picture in the folder that TIME_PICTURES names."""
    if folder := os.environ.get("TIME_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_of_a_time_is_accessible_at_every_width(
    chrome: Browser, alice: University, stack: Stack, scheme: str
) -> None:
    ids = prepare(alice)
    desk = sit_down(chrome, stack, alice, color_scheme=scheme, bypass_csp=True)
    with closing(desk.context):
        page = desk.sign_in()
        for name, path in list_paths(ids).items():
            desk.open(path)
            for width in WIDTHS:
                assert_fits(page, name, width)
                take_picture(page, name, width, scheme)
                if width != 1024:
                    assert serious(page) == [], (name, width)
        alice.call("PATCH", "/v1/organization", {"locale": "de-DE"})
        for name, path in list_paths(ids).items():
            desk.open(path)
            for width in WIDTHS:
                assert_fits(page, f"{name} in German", width)


def test_alice_compares_times_by_keyboard(desk: Desk) -> None:
    ids = prepare(desk.place)
    page = desk.sign_in()
    desk.open(f"/dashboard/fundraisers/{ids['fundraiser']}")
    tab_to(page, page.get_by_role("link", name="Last 30 days"))
    page.keyboard.press("Enter")
    expect(page.locator("#comparison")).to_contain_text("Previous period")
    tab_to(page, page.get_by_text("Show as table"))
    page.keyboard.press("Enter")
    expect(page.locator("#over-time details table")).to_be_visible()

    earlier = page.get_by_role("textbox", name="Time", exact=True)
    noted = datetime.fromisoformat(ids["noted"]).astimezone(ZONE).replace(tzinfo=None)
    earlier.fill(noted.isoformat(timespec="milliseconds"))
    tab_to(page, page.get_by_role("button", name="Show figures"))
    page.keyboard.press("Enter")
    expect(page.locator(".past")).to_contain_text("Figures as of")
    tab_to(page, page.get_by_role("link", name="What has changed since then?"))
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Why did the total change?").wait_for()
    expect(page.get_by_role("row", name="Gift deleted 1 -1 -$32.00")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Explain the difference"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/changes?from=*&to=")
    expect(page.get_by_role("row", name="Gift deleted 1 -1 -$32.00")).to_be_visible()
    tab_to(page, page.get_by_role("link", name="Gift of Eve"))
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1).wait_for()


def test_updates_leave_an_earlier_page_and_a_chosen_period_alone(desk: Desk) -> None:
    ids = prepare(desk.place)
    page = desk.sign_in()
    fundraiser = f"/dashboard/fundraisers/{ids['fundraiser']}"
    past = desk.context.new_page()
    past.goto(f"{desk.url}{fundraiser}?as_of={ids['noted']}")
    before = past.locator("main").inner_text()
    desk.open(f"{fundraiser}?from=2026-01-01&to=2026-01-31")
    expect(page.locator("#live")).to_have_text("Live")
    chosen = page.locator("#comparison").inner_text()
    page.get_by_label("Last day").fill("2026-02-15")
    desk.place.gift(ids["fundraiser"], 1_500_000)
    expect(page.locator("#figures")).to_contain_text("$20,098.00", timeout=SOON)
    assert page.locator("#comparison").inner_text() == chosen
    expect(page.get_by_label("Last day")).to_have_value("2026-02-15")
    assert past.locator("main").inner_text() == before
    assert [url for url in desk.requested if "/dashboard/live" in url] != []
    expect(past.locator("#live")).to_have_text("")
