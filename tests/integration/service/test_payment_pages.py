"""The page of payments that are not gifts: who sees it, and how an admin assigns them."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access import audit
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university
from tools.testbed.pages import Browser, extract_text, sign_in_staff
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    make_charge_event,
    make_invoice_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

HERE = "/dashboard/payments"
HOSTILE = """<script>alert(1)</script> "onload='alert(2)' {{7*7}}"""


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    set_stripe_secret(alice)
    return alice


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    return sign_in_staff(real_client, alice.id, "alice@example.edu", "admin")


def waiting(place: University, *events: Any) -> list[Any]:
    for event in events:
        post_stripe_event(place, event)
    settle_all()
    found: list[Any] = place.get("/v1/payments?status=unassigned")["data"]
    return found


def test_an_admin_assigns_a_payment_and_it_counts(alice: University, browser: Browser) -> None:
    spring = alice.fundraiser("Spring Giving Day")
    [payment] = waiting(
        alice, make_charge_event("succeeded", billing_details={"name": HOSTILE, "email": ""})
    )
    assert "Payments to assign (1)" in extract_text(browser.get("/dashboard/gifts"))
    page = browser.get(HERE)
    for said in ("Stripe pi_1", "$25.00", "The payment names no fundraiser.", "Assign Stripe"):
        assert said in extract_text(page)
    assert HOSTILE not in page.text
    path = f"{HERE}/{payment['id']}/fundraiser"
    assert f'formaction="{path}"' in page.text
    for _ in range(2):  # the browser sends the form twice
        done = browser.send(path, {"fundraiser": spring})
        assert (done.status_code, done.headers["location"]) == (303, f"{HERE}?done=assigned")
    said = extract_text(browser.get(HERE, query_string="done=assigned"))
    assert "Payment assigned. It is now a gift." in said
    assert "No payments to assign." in said
    assert "Payments to assign (" not in extract_text(browser.get("/dashboard/gifts"))
    settle_all()
    assert alice.report(spring)["donations"]["raised"] == {"USD": 2500}
    audit.link_finished_acts()
    acts = alice.get("/v1/audit")["data"]
    assert {act["action"] for act in acts if act["record"] == payment["id"]} == {
        "POST /dashboard/payments/{id}/fundraiser"
    }


def test_waiting_payments_show_why_and_unassignable_ones_have_no_button(
    alice: University, browser: Browser
) -> None:
    spring = alice.fundraiser("Spring Giving Day")
    waiting(alice, make_charge_event("succeeded", currency="qqq", amount=1955))
    payments = waiting(alice, make_invoice_event("paid", 3))
    ids = {one["reason"]: one["id"] for one in payments}
    page = browser.get(HERE)
    assert "1,955 minor units of QQQ" in extract_text(page)
    assert ids["unlinked_invoice"] in page.text.split("<tbody>")[1]
    assert f"{ids['unknown_currency']}/fundraiser" not in page.text
    done = browser.send(f"{HERE}/{ids['unlinked_invoice']}/fundraiser", {"fundraiser": spring})
    assert done.headers["location"] == f"{HERE}?done=waiting"
    assert "Assigned to Spring Giving Day" in extract_text(browser.get(HERE))
    refused = browser.send(f"{HERE}/{ids['unknown_currency']}/fundraiser", {"fundraiser": spring})
    assert refused.status_code == 409


def test_a_viewer_sees_the_payments_without_the_form(
    alice: University, real_client: testing.TestClient
) -> None:
    spring = alice.fundraiser()
    [payment] = waiting(alice, make_charge_event("succeeded"))
    viewer = sign_in_staff(real_client, alice.id, "vera@example.edu", "viewer")
    page = viewer.get(HERE)
    assert "The payment names no fundraiser." in extract_text(page)
    assert "Ask an editor or an admin to assign them." in extract_text(page)
    assert "formaction" not in page.text
    assert "<select" not in page.text
    answer = viewer.send(f"{HERE}/{payment['id']}/fundraiser", {"fundraiser": spring})
    assert answer.status_code == 403
    assert waiting(alice)


def test_an_invalid_or_forged_form_assigns_nothing(
    alice: University, browser: Browser, real_client: testing.TestClient
) -> None:
    spring = alice.fundraiser()
    charlie = create_university("Charlie's University", alice.api)
    his = charlie.fundraiser()
    [payment] = waiting(alice, make_charge_event("succeeded"))
    path = f"{HERE}/{payment['id']}/fundraiser"
    browser.get(HERE)
    token = browser.token
    for fields, status in (
        ({"fundraiser": ""}, 400),
        ({}, 400),
        ({"fundraiser": "x"}, 404),
        ({"fundraiser": UNKNOWN_ID}, 404),
        ({"fundraiser": his}, 404),
        ({"fundraiser": [spring, spring]}, 400),
        ({"fundraiser": spring, "form_token": "0" * 64}, 403),
    ):
        browser.token = token
        assert browser.send(path, fields).status_code == status, fields
    spy = sign_in_staff(real_client, charlie.id, "charlie@example.edu", "admin")
    spy.get(HERE)
    assert spy.send(path, {"fundraiser": his}).status_code == 404
    assert extract_text(spy.get(HERE)).count("No payments to assign.") == 1
    assert len(waiting(alice)) == 1


def test_the_payment_list_is_paged_and_suggests_the_first_step(
    alice: University, browser: Browser
) -> None:
    assert "No payments to assign." in extract_text(browser.get(HERE))
    post_stripe_event(alice, set_metadata(make_charge_event("succeeded"), fundraiser_id="Spring"))
    settle_all()
    row = get_db().payments.find_one()
    assert row
    more = [
        row | {"_id": f"{row['_id']}_{number}", "public_id": ObjectId()} for number in range(120)
    ]
    get_db().payments.insert_many(more)
    page = browser.get(HERE)
    assert "Add a fundraiser first." in extract_text(page)
    assert "<select" not in page.text
    assert "Payments to assign (100+)" in extract_text(browser.get("/dashboard/gifts"))
    alice.fundraiser()
    seen, query = 0, ""
    while True:
        page = browser.get(HERE, query_string=query)
        seen += page.text.count("<tr data-key")
        if 'name="cursor" value="' not in page.text:
            break
        query = "cursor=" + page.text.split('name="cursor" value="')[1].split('"')[0]
    assert seen == 121
    assert browser.get(HERE, query_string="cursor=x").status_code == 400
