"""Results by attribute on the pages of mailings and experiments, and the forms for attributes."""

import re
from typing import Any

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Desk, sit_down
from tests.browser.test_experiments import GIFTS, prepare, take_picture
from tests.browser.test_looks import WIDTHS, assert_fits, serious
from tests.integration.documents.outcomes.test_experiment_report import store_part
from tools.testbed.cast import University
from tools.testbed.stack import Stack

SCHOOL = "school"
# Givers among the recipients with and without the reminder.
SCHOOLS = {"Law": (40_000, 2_400, 4_000, 60), "Medicine": (30_000, 900, 3_000, 90)}
FEW = ("Music & Theater, 日本", 30, 3, 4, 0)


def prepare_values(place: University) -> str:
    path = prepare(place, "decided")
    mailing = path.split("/")[-2]
    for school, (sent, givers, held_out, others) in {**SCHOOLS, FEW[0]: FEW[1:]}.items():
        store_part(mailing, (SCHOOL, school), "Reminder", sent, GIFTS * (givers // 3))
        store_part(mailing, (SCHOOL, school), "No reminder", held_out, GIFTS * (others // 3))
    return path


def test_an_experiment_shows_its_effect_by_attribute_at_every_width(
    chrome: Browser, alice: University, stack: Stack
) -> None:
    path = prepare_values(alice)
    desk = sit_down(chrome, stack, alice, bypass_csp=True)
    page = desk.sign_in()
    desk.open(path)
    page.get_by_label("Attribute", exact=True).focus()
    page.keyboard.type("sch")  # chooses the option
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("by=school"))
    rows = page.locator("#values tbody tr")
    expect(rows).to_have_count(8)
    law, held_out = rows.nth(0), rows.nth(1)
    expect(law).to_contain_text("Law")
    expect(law).to_contain_text("+4.5")
    expect(held_out).to_contain_text("Baseline")
    expect(rows.filter(has_text="Not recorded").first).to_contain_text("Reminder")
    expect(rows.filter(has_text="Music").first).to_contain_text("Too few recipients")
    expect(page.locator("#values .note")).to_contain_text("3 comparisons in this table")
    for width in WIDTHS:
        assert_fits(page, "values", width)
        take_picture(page, "values", width)
        assert serious(page) == [], width
    desk.context.close()


def test_a_mailing_shows_results_by_attribute_at_every_width(
    chrome: Browser, alice: University, stack: Stack
) -> None:
    mailing = record_people(alice)
    desk = sit_down(chrome, stack, alice, bypass_csp=True)
    page = desk.sign_in()
    desk.open(f"/dashboard/mailings/{mailing}")
    card = page.locator("#segments")
    expect(card).to_contain_text("gmail.com")
    page.get_by_label("Attribute", exact=True).select_option("school")
    page.get_by_role("button", name="Show", exact=True).press("Enter")
    page.wait_for_url(re.compile("by=school"))
    expect(card).to_contain_text("Law")
    expect(card).to_contain_text("Not recorded")
    for width in WIDTHS:
        assert_fits(page, "segments", width)
        take_picture(page, "segments", width)
        assert serious(page) == [], width
    desk.context.close()


def record_people(place: University) -> str:
    spring = place.fundraiser()
    mailing: str = place.mailing(spring)
    people: list[Any] = [
        {"name": "Bob", "email": "bob@gmail.com", "attributes": {"school": "Law"}},
        {"name": "Eve", "email": "eve@example.edu"},
    ]
    for person in people:
        place.email(spring, person, mailing_id=mailing)
    return mailing


def test_alice_edits_a_persons_attributes_and_the_email_domains(
    chrome: Browser, alice: University, stack: Stack
) -> None:
    person = alice.make("users", name="Bob", email="bob@example.edu")["id"]
    desk = sit_down(chrome, stack, alice, bypass_csp=True)
    page = desk.sign_in()
    desk.open(f"/dashboard/people/{person}")
    fields = page.locator("#attributes-title ~ form fieldset")
    fields.nth(0).get_by_label("Name").fill("Class_Year")
    fields.nth(0).get_by_label("Value").fill("1998")
    page.get_by_role("button", name="Save attributes").press("Enter")
    page.get_by_text("Attributes saved.").wait_for()
    assert alice.get(f"/v1/users/{person}")["attributes"] == {"class_year": "1998"}
    for width in WIDTHS:
        assert_fits(page, "person", width)
        take_picture(page, "person", width)
        assert serious(page) == [], width
    fields.nth(0).get_by_label("Name").fill("")
    fields.nth(0).get_by_label("Value").fill("")
    page.get_by_role("button", name="Save attributes").click()
    page.get_by_text("Attributes saved.").wait_for()
    assert alice.get(f"/v1/users/{person}")["attributes"] == {}

    desk.open("/dashboard/settings")
    page.get_by_label("Domains, one on each line").fill("Example.EDU\nalumni.example.org")
    page.get_by_role("button", name="Save domains").click()
    page.get_by_text("Email domains saved.").wait_for()
    found = alice.get("/v1/organization")["email_domains"]
    assert found == ["example.edu", "alumni.example.org"]
    for width in WIDTHS:
        assert_fits(page, "settings", width)
        take_picture(page, "settings", width)
        assert serious(page) == [], width
    page.get_by_label("Domains, one on each line").fill("not a domain!")
    page.get_by_role("button", name="Save domains").click()
    expect(page.locator("main")).to_contain_text("such as example.edu")
    assert alice.get("/v1/organization")["email_domains"] == found
    desk.context.close()


def test_a_name_that_no_attribute_can_have_changes_nothing(desk: Desk) -> None:
    person = desk.place.make("users", name="Bob", email="bob@example.edu")["id"]
    page = desk.sign_in()
    desk.open(f"/dashboard/people/{person}")
    fields = page.locator("#attributes-title ~ form fieldset").nth(0)
    fields.get_by_label("Name").fill("a.b")
    fields.get_by_label("Value").fill("1998")
    page.get_by_role("button", name="Save attributes").click()
    expect(page.locator("main")).to_contain_text("letters from a to z")
    assert desk.place.get(f"/v1/users/{person}")["attributes"] == {}
    assert all("422" in text for text in desk.complaints), desk.complaints
    desk.complaints.clear()
