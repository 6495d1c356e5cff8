"""The band of the credited sum on a mailing's page."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db
from playwright.sync_api import Browser, Page, expect

from documents.sensitivity.rules import ALTERNATIVES
from documents.sensitivity.stored import make_sensitivity_id
from documents.values.time import now
from tests.browser.conftest import sit_down
from tests.browser.test_looks import WIDTHS, assert_fits, serious
from tools.testbed.cast import University
from tools.testbed.stack import Stack

CENTS = [410_000, 455_000, 480_000, 560_000, 700_000, 630_000]  # in the order of the alternatives
STATES = {
    "one currency": ["USD"],
    "two currencies": ["EUR", "USD"],
    "no gifts": [],
}


def store_sums(place: University, currencies: list[str]) -> str:
    """Store the sums of a mailing, and return the path of its page."""
    spring = place.fundraiser()
    mailing = place.mailing(spring, name="Reminder of the giving day")
    owner = {"organization_id": ObjectId(place.id)}
    run = {
        "changed_at": now(),
        "number": 1,
        "published": 1,
        "computed_at": now() + timedelta(seconds=1),
        "policy": {"window_seconds": 30 * 24 * 3600.0, "touch": "last"},
    }
    get_db().sensitivity_runs.insert_one({"_id": ObjectId(spring), **owner, **run})
    pairs = zip(ALTERNATIVES, CENTS, strict=True)
    sums: dict[str, Any] = {one.key: dict.fromkeys(currencies, cents) for one, cents in pairs}
    sums["credited"] = dict.fromkeys(currencies, CENTS[-1])
    of = {"fundraiser_id": ObjectId(spring), "mailing_id": ObjectId(mailing), "number": 1}
    id_ = make_sensitivity_id(of["mailing_id"], of["fundraiser_id"], 1)  # type: ignore[arg-type]
    get_db().sensitivities.insert_one({"_id": id_, **owner, **of, "sums": sums})
    return f"/dashboard/mailings/{mailing}"


def take_picture(page: Page, name: str, width: int) -> None:
    """Keep a picture in the folder that SENSITIVITY_PICTURES names."""
    if folder := os.environ.get("SENSITIVITY_PICTURES"):
        page.locator("#sensitivity").screenshot(path=Path(folder) / f"{name}-{width}.png")


@pytest.mark.parametrize("state", STATES)
def test_the_band_and_its_table_fit_every_width(
    chrome: Browser, alice: University, stack: Stack, state: str
) -> None:
    path = store_sums(alice, STATES[state])
    desk = sit_down(chrome, stack, alice, bypass_csp=True)
    page = desk.sign_in()
    desk.open(path)
    band = page.locator("#sensitivity")
    if state == "no gifts":
        expect(band).to_contain_text("No gifts are credited to this mailing under any rule.")
    else:
        text = "Credited $6,300.00; between $4,100.00 and $7,000.00 under other rules."
        expect(band).to_contain_text(text)
        expect(band.locator("tbody td strong")).to_contain_text("$6,300.00")
        expect(band.get_by_role("row", name="30 days")).to_contain_text("present policy")
    for width in WIDTHS:
        assert_fits(page, state, width)
        take_picture(page, state, width)
        assert serious(page) == [], width
    desk.context.close()


def test_a_new_mailing_has_no_band_yet(chrome: Browser, alice: University, stack: Stack) -> None:
    mailing = alice.mailing(alice.fundraiser())
    desk = sit_down(chrome, stack, alice, bypass_csp=True)
    page = desk.sign_in()
    desk.open(f"/dashboard/mailings/{mailing}")
    expect(page.locator("#sensitivity")).to_contain_text("Not computed yet.")
    desk.context.close()
