"""Every page: accessible, at every width, in light and dark mode, without foreign content."""

import re
from functools import partial
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response, expect

from tests.browser.conftest import Desk, sit_down
from tests.browser.scene import HOSTILE, furnish, paths
from tools.testbed.pages import STAFF_PASSWORD
from tools.testbed.stack import Stack

WIDTHS = (390, 1024, 1600)
LIGHTEST = 100_000  # bytes before a page is painted, uncompressed


def serious(page: Page) -> list[tuple[str, str, Any]]:
    """Return axe-core's findings that keep a person from using the page."""
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], one["impact"], [node["target"] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


def assert_fits(page: Page, name: str, width: int) -> None:
    """Resize the window, and check that the page has no horizontal scroll bar."""
    page.set_viewport_size({"width": width, "height": 900})
    reach = page.evaluate("document.documentElement.scrollWidth")
    assert reach <= width, f"{name} is {reach} px wide at {width}"


# The schemes differ only in colours, so one width shows all that dark mode can break.
@pytest.mark.parametrize(("scheme", "widths"), [("light", WIDTHS), ("dark", WIDTHS[:1])])
def test_every_page_is_accessible_at_every_width(
    chrome: Browser, desk: Desk, stack: Stack, scheme: str, widths: tuple[int, ...]
) -> None:
    ids = furnish(desk.place, HOSTILE + 150 * "x")
    window = sit_down(chrome, stack, desk.place, color_scheme=scheme, bypass_csp=True)
    page = window.sign_in()
    for name, path in {**paths(ids), "sign in": "/dashboard/sign-in"}.items():
        window.open(path)
        for width in widths:
            assert_fits(page, name, width)
            if width == 1600:
                continue
            assert serious(page) == [], (name, width)
    window.context.close()


def note_size(taken: list[int], answer: Response) -> None:
    taken.append(size_of(answer))


def test_names_cannot_run_scripts_and_every_page_is_small(desk: Desk) -> None:
    ids = furnish(desk.place, HOSTILE)
    page = desk.sign_in()
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    sizes: dict[str, int] = {}
    for name, path in paths(ids).items():
        if name == "nothing":
            continue
        taken: list[int] = []
        page.on("response", partial(note_size, taken))
        desk.open(path)
        page.wait_for_load_state("load")
        sizes[name] = sum(taken)
    assert max(sizes.values()) < LIGHTEST, sizes


def size_of(answer: Any) -> int:
    return 0 if "/dashboard/live" in answer.url else int(answer.headers.get("content-length", 0))


def test_alice_needs_no_mouse(desk: Desk) -> None:
    ids = furnish(desk.place)
    page = desk.open("/dashboard/sign-in")
    expect(page.get_by_label("Email")).to_be_focused()
    page.keyboard.type(desk.address)
    page.keyboard.press("Tab")
    page.keyboard.type(STAFF_PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Fundraisers").wait_for()

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    tab_to(page, page.get_by_role("link", name="Spring Giving Day"))
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Spring Giving Day").wait_for()
    tab_to(page, page.get_by_text("Show as table"))
    page.keyboard.press("Enter")
    expect(page.locator("#over-time details")).to_have_attribute("open", "")

    desk.open(f"/dashboard/gifts/{ids['lost']}")
    tab_to(page, page.get_by_label("Search people by name or email"))
    page.keyboard.type("bob")
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Bob Baker: Appeal of"))
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.get_by_text("Email set.").wait_for()


def tab_to(page: Page, wanted: Any) -> None:
    """Press Tab until the element has the focus, like a person who sees where the focus is."""
    for _ in range(80):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"never reached by Tab: {wanted}")


def test_a_chart_is_readable_in_print_and_has_its_table(desk: Desk) -> None:
    ids = furnish(desk.place)
    page = desk.sign_in()
    desk.open(f"/dashboard/fundraisers/{ids['fundraiser']}")
    chart = page.locator("#over-time svg:visible")
    expect(chart).to_have_count(1)
    assert "Raised over time, USD" in (chart.get_attribute("aria-label") or "")
    page.emulate_media(media="print")
    expect(chart).to_be_visible()
    expect(page.locator("#over-time table")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    page.emulate_media(media="screen")
    with page.expect_download() as download:
        page.locator("#over-time").get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.startswith("raised-over-time-")


def test_everything_works_without_scripts(chrome: Browser, desk: Desk, stack: Stack) -> None:
    ids = furnish(desk.place)
    window = sit_down(chrome, stack, desk.place, java_script_enabled=False)
    page = window.sign_in()
    expect(page.locator("#live")).to_have_text("Live updates off")
    page.get_by_role("link", name="Spring Giving Day").click()
    expect(page.locator("#figures")).to_contain_text("$65.00")
    window.open(f"/dashboard/gifts/{ids['lost']}")
    page.get_by_label("No email led to this gift").check()
    page.get_by_role("button", name="Set email").click()
    page.get_by_text("Email set.").wait_for()
    window.context.close()


def test_german_pages_fit_every_width_and_name_their_language(desk: Desk) -> None:
    ids = furnish(desk.place)
    page = desk.sign_in()
    desk.place.call("PATCH", "/v1/organization", {"locale": "de-DE"})
    for name, path in paths(ids).items():
        if name == "nothing":
            continue  # without an organization, the browser chooses
        desk.open(path)
        for width in WIDTHS:
            assert_fits(page, name, width)
        expect(page.locator("html")).to_have_attribute("lang", "de-DE")
    desk.open(f"/dashboard/fundraisers/{ids['fundraiser']}")
    expect(page.locator("#figures")).to_contain_text("65,00\u00a0$")
    expect(page.locator("#goal")).to_contain_text("65,0\u00a0%")


def test_the_script_uses_the_texts_and_formats_of_the_page(
    chrome: Browser, desk: Desk, stack: Stack
) -> None:
    ids = furnish(desk.place)
    window = sit_down(chrome, stack, desk.place)  # it may complain of the connection
    page = window.sign_in()
    german = {"locale": "de-DE", "time_zone": "Asia/Kathmandu"}
    desk.place.call("PATCH", "/v1/organization", german)
    page.route("**/dashboard/live*", lambda route: route.abort())
    window.open(f"/dashboard/fundraisers/{ids['fundraiser']}")
    expected = re.compile(r"Verbindung um \d\d:\d\d verloren\. Wird wiederhergestellt\.")
    expect(page.locator("#live")).to_have_text(expected, timeout=20_000)
    window.context.close()


@pytest.mark.parametrize("width", [390, 1600])
def test_a_list_is_downloaded_by_keyboard(desk: Desk, width: int) -> None:
    ids = furnish(desk.place)
    page = desk.sign_in()
    page.set_viewport_size({"width": width, "height": 900})
    lists = {
        "/dashboard/gifts?match=all": "gifts",
        f"/dashboard/fundraisers/{ids['fundraiser']}": "all gifts of this fundraiser",
        f"/dashboard/mailings/{ids['mailing']}?did=gave": "recipients",
        f"/dashboard/people/{ids['person']}": "gifts of this person",
    }
    for path, name in lists.items():
        desk.open(path)
        tab_to(page, page.locator("summary", has_text=f"Download: {name}"))
        page.keyboard.press("Enter")
        assert_fits(page, path, width)
        for label, extension in (("CSV", ".csv"), ("Excel", ".xlsx")):
            link = page.get_by_role("link", name=re.compile(rf"^{label}\s*: {name}$"))
            tab_to(page, link)
            with page.expect_download() as download:
                page.keyboard.press("Enter")
            assert download.value.suggested_filename.endswith(extension)
            assert download.value.path().stat().st_size > 100
