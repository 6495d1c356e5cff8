"""The page of an experiment: too early, decided, and against the mailing."""

import os
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db
from playwright.sync_api import Browser, Page, expect

from documents.values.time import now
from tests.browser.conftest import Desk, sit_down
from tests.browser.test_looks import WIDTHS, assert_fits, serious
from tests.integration.documents.outcomes.test_experiment_report import store_arm
from tools.testbed.cast import University
from tools.testbed.stack import Stack

ARMS = [
    {"name": "Reminder", "weight": 9},
    {"name": "No reminder", "weight": 1, "held_out": True},
]
GIFTS = [2_500, 5_000, 10_000]
# Givers among 90,000 recipients and among 10,000 who were held out, and the start of the sentence.
STATES = {
    "early": (90, 9, "Too early to tell: about "),
    "decided": (4_500, 240, "“Reminder” caused between $"),
    "against": (900, 400, "“Reminder” worked against itself: "),
}


def prepare(place: University, state: str) -> str:
    """Store an experiment's counters, and return the path of its page."""
    spring = place.fundraiser()
    mailing = place.mailing(spring, name="Reminder of the giving day")
    answer = place.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": ARMS})
    assert answer.status == 200
    started = {"$set": {"experiment.started_at": now()}}
    get_db().mailings.update_one({"_id": ObjectId(mailing)}, started)
    givers, held_out_givers, _ = STATES[state]
    gifts, other = GIFTS * (givers // 3), GIFTS * (held_out_givers // 3)
    credited = {"USD": sum(gifts) * 4 // 5}
    scale = 0.01 if state == "early" else 1
    actions = {"delivered": 88_000, "opened": 30_000, "clicked": 5_000}
    sent = {name: int(number * scale) for name, number in actions.items()}
    store_arm(mailing, "Reminder", int(90_000 * scale), gifts, credited=credited, **sent)
    store_arm(mailing, "No reminder", int(10_000 * scale), other)
    return f"/dashboard/mailings/{mailing}/experiment"


def take_picture(page: Page, name: str, width: int) -> None:
    """Keep a picture in the folder that EXPERIMENT_PICTURES names."""
    if folder := os.environ.get("EXPERIMENT_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)


@pytest.mark.parametrize("state", STATES)
def test_the_sentence_comes_first_at_every_width(
    chrome: Browser, alice: University, stack: Stack, state: str
) -> None:
    path = prepare(alice, state)
    desk = sit_down(chrome, stack, alice, bypass_csp=True)
    page = desk.sign_in()
    desk.open(path)
    expect(page.locator("#result p").first).to_contain_text(STATES[state][2])
    for width in WIDTHS:
        assert_fits(page, state, width)
        take_picture(page, state, width)
        assert serious(page) == [], width
    desk.context.close()


def test_alice_plans_and_defines_an_experiment(desk: Desk) -> None:
    mailing = desk.place.mailing(desk.place.fundraiser())
    page = desk.sign_in()
    desk.open(f"/dashboard/mailings/{mailing}")
    page.get_by_role("link", name="Plan an experiment").click()
    page.get_by_label("Expected response rate, percent").fill("5")
    page.get_by_role("button", name="Calculate recipients").click()
    planned = page.locator("#plan-title ~ .figure")
    expect(planned).to_contain_text("recipients")
    take_picture(page, "new", 1600)
    for number, name in enumerate(["A", "B"]):
        fields = page.locator("fieldset.arm").nth(number)
        fields.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Save experiment").click()
    page.get_by_text("Experiment saved.").wait_for()
    found: Any = desk.place.get(f"/v1/mailings/{mailing}/experiment")
    assert [(arm["name"], arm["weight"], arm["held_out"]) for arm in found["arms"]] == [
        ("A", 9, False),
        ("B", 1, True),
    ]
    expect(page.locator("#result")).to_contain_text("Not started")
    page.get_by_role("button", name="Remove experiment").click()
    page.get_by_text("Experiment removed.").wait_for()


def test_alice_ends_an_arm_and_adds_another_after_the_start(desk: Desk) -> None:
    spring = desk.place.fundraiser()
    mailing = desk.place.mailing(spring)
    path = f"/v1/mailings/{mailing}/experiment"
    assert desk.place.call("PUT", path, {"arms": ARMS, "window_days": 7}).status == 200
    desk.place.email(spring, mailing_id=mailing, arm="No reminder")
    page = desk.sign_in()
    desk.open(f"/dashboard/mailings/{mailing}/experiment")
    expect(page.get_by_role("heading", name="Change arms")).to_be_visible()
    expect(page.get_by_role("button", name="Remove experiment")).to_have_count(0)
    expect(page.get_by_label("Days in which gifts count")).to_have_count(0)
    reminder, held_out, new = (page.locator("fieldset.arm").nth(number) for number in range(3))
    expect(reminder.get_by_label("Name")).not_to_be_editable()
    expect(held_out.get_by_role("checkbox")).to_have_count(0)
    take_picture(page, "started", 1600)
    reminder.get_by_label("Weight").fill("0")
    new.get_by_label("Name").fill("Short reminder")
    page.get_by_role("button", name="Save experiment").click()
    page.get_by_text("Experiment saved.").wait_for()
    found: Any = desk.place.get(path)
    assert (found["window_days"], found["version"]) == (7, 2)
    assert [(arm["name"], arm["weight"], arm["held_out"]) for arm in found["arms"]] == [
        ("Reminder", 0, False),
        ("No reminder", 1, True),
        ("Short reminder", 1, False),
    ]
