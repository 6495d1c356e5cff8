"""The page of payments that are not gifts: who sees it, and how an admin assigns them."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access import audit
from tools.testbed.cast import UNKNOWN_ID, Api, University, university
from tools.testbed.pages import Browser, add_staff, text_of
from tools.testbed.settled import settle
from tools.testbed.stripe_events import charge, invoice, ours, set_secret, tell

HERE = "/dashboard/payments"
HOSTILE = """<script>alert(1)</script> "onload='alert(2)' {{7*7}}"""


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = university("Alice's University", Api.in_process(real_client))
    set_secret(alice)
    return alice


def sign_in(client: testing.TestClient, place: University, name: str, role: str) -> Browser:
    add_staff(place.id, f"{name}@example.edu", role)
    browser = Browser(client)
    browser.sign_in(f"{name}@example.edu")
    return browser


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    return sign_in(real_client, alice, "alice", "admin")


def waiting(place: University, *events: Any) -> list[Any]:
    for event in events:
        tell(place, event)
    settle()
    found: list[Any] = place.get("/v1/payments?status=unassigned")["data"]
    return found


def test_an_admin_assigns_a_payment_and_it_counts(alice: University, browser: Browser) -> None:
    spring = alice.fundraiser("Spring Giving Day")
    [payment] = waiting(alice, charge("succeeded", billing_details={"name": HOSTILE, "email": ""}))
    assert "Payments to assign (1)" in text_of(browser.get("/dashboard/gifts"))
    page = browser.get(HERE)
    for said in ("Stripe pi_1", "$25.00", "The payment names no fundraiser.", "Assign Stripe"):
        assert said in text_of(page)
    assert HOSTILE not in page.text
    path = f"{HERE}/{payment['id']}/fundraiser"
    assert f'formaction="{path}"' in page.text
    for _ in range(2):  # the form is sent twice
        done = browser.send(path, {"fundraiser": spring})
        assert (done.status_code, done.headers["location"]) == (303, f"{HERE}?done=assigned")
    said = text_of(browser.get(HERE, query_string="done=assigned"))
    assert "Payment assigned. It is now a gift." in said
    assert "No payments to assign." in said
    assert "Payments to assign (" not in text_of(browser.get("/dashboard/gifts"))
    settle()
    assert alice.report(spring)["donations"]["raised"] == {"USD": 2500}
    audit.link()
    acts = alice.get("/v1/audit")["data"]
    assert {act["action"] for act in acts if act["record"] == payment["id"]} == {
        "POST /dashboard/payments/{id}/fundraiser"
    }


def test_what_waits_for_an_event_says_so_and_what_cannot_be_assigned_has_no_button(
    alice: University, browser: Browser
) -> None:
    spring = alice.fundraiser("Spring Giving Day")
    waiting(alice, charge("succeeded", currency="qqq", amount=1955))
    payments = waiting(alice, invoice("paid", 3))
    ids = {one["reason"]: one["id"] for one in payments}
    page = browser.get(HERE)
    assert "1,955 minor units of QQQ" in text_of(page)
    assert ids["unlinked_invoice"] in page.text.split("<tbody>")[1]
    assert f"{ids['unknown_currency']}/fundraiser" not in page.text
    done = browser.send(f"{HERE}/{ids['unlinked_invoice']}/fundraiser", {"fundraiser": spring})
    assert done.headers["location"] == f"{HERE}?done=waiting"
    assert "Assigned to Spring Giving Day" in text_of(browser.get(HERE))
    refused = browser.send(f"{HERE}/{ids['unknown_currency']}/fundraiser", {"fundraiser": spring})
    assert refused.status_code == 409


def test_a_viewer_sees_the_payments_without_the_form(
    alice: University, real_client: testing.TestClient
) -> None:
    spring = alice.fundraiser()
    [payment] = waiting(alice, charge("succeeded"))
    viewer = sign_in(real_client, alice, "vera", "viewer")
    page = viewer.get(HERE)
    assert "The payment names no fundraiser." in text_of(page)
    assert "Ask an admin to assign them." in text_of(page)
    assert "formaction" not in page.text
    assert "<select" not in page.text
    answer = viewer.send(f"{HERE}/{payment['id']}/fundraiser", {"fundraiser": spring})
    assert answer.status_code == 403
    assert waiting(alice)


def test_a_form_that_is_wrong_or_forged_assigns_nothing(
    alice: University, browser: Browser, real_client: testing.TestClient
) -> None:
    spring = alice.fundraiser()
    charlie = university("Charlie's University", alice.api)
    his = charlie.fundraiser()
    [payment] = waiting(alice, charge("succeeded"))
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
    spy = sign_in(real_client, charlie, "charlie", "admin")
    spy.get(HERE)
    assert spy.send(path, {"fundraiser": his}).status_code == 404
    assert text_of(spy.get(HERE)).count("No payments to assign.") == 1
    assert len(waiting(alice)) == 1


def test_the_page_goes_on_and_says_what_to_do_first(alice: University, browser: Browser) -> None:
    assert "No payments to assign." in text_of(browser.get(HERE))
    tell(alice, ours(charge("succeeded"), fundraiser_id="Spring"))
    settle()
    row = get_db().payments.find_one()
    assert row
    more = [
        row | {"_id": f"{row['_id']}_{number}", "public_id": ObjectId()} for number in range(120)
    ]
    get_db().payments.insert_many(more)
    page = browser.get(HERE)
    assert "Add a fundraiser first." in text_of(page)
    assert "<select" not in page.text
    assert "Payments to assign (100+)" in text_of(browser.get("/dashboard/gifts"))
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
