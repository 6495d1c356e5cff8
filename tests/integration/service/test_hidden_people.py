"""An organization hides its donors from viewers: on pages, in files, in streams, by searches.

The walk plants values that occur nowhere else, and searches every byte of each answer for them.
"""

import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.staff_session import StaffSession
from documents.donation import Donation
from documents.organization import Organization
from documents.storage.personal_data import hide_personal_data
from documents.user import User
from documents.values.time import now
from service.dashboard.route_roles import EDITOR_ROUTES, VIEWER_ROUTES
from service.routes import DASHBOARD_ROUTES
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.pages import Browser, sign_in_staff
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import make_charge_event, post_stripe_event, set_stripe_secret

NAMES = ("Quentin", "Zephyrine", "Ottokar")
# Attributes and IDs of donors: an alumni number, a rare class year, and the client's own IDs.
DETAILS = ("Quokka-4711", "Wombat-1899", "Numbat-gift", "Numbat-plan")
SHARED_VALUE = "Bilby-1998"  # of six people, so that a report may name it
ATTRIBUTES = {"alumni_number": "Quokka-4711", "class_year": "Wombat-1899"}
DONOR: dict[str, Any] = {
    "name": "Quentin Zephyrine",
    "email": "Quentin.Z+gifts@quentin.example",
}
OTHER = {"name": "Ottokar", "email": "ottokar@ottokar.example"}
CHANGES = "fundraisers/{id}/changes"
SECRETS = tuple(name.casefold() for name in (*NAMES, *DETAILS))
PAGE_NOUNS = {"people": "users", "gifts": "donations"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    place = create_university("Alice's University", Api.in_process(real_client))
    Organization.objects(id=place.id).update(set__hides_personal_data=True)
    return place


@pytest.fixture
def ids(alice: University) -> dict[str, str]:
    """Fill the university with records that name its donors wherever a record can."""
    alice.set_webhook_key()
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    arms = [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]
    alice.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": arms})
    email = alice.email(spring, DONOR | {"attributes": ATTRIBUTES}, mailing_id=mailing)
    for _ in range(6):  # of one person, because a value is named by its number of people
        alice.email(spring, DONOR)
    alice.email(spring, OTHER, mailing_id=mailing)
    for number in range(6):
        shared: dict[str, Any] = {"name": f"P {number}", "email": f"p{number}@example.edu"}
        shared |= {"attributes": {"class_year": SHARED_VALUE}}
        alice.email(spring, shared, mailing_id=mailing)
    url = "https://example.edu/give/quentin?for=quentin.z%40quentin.example#quentin"
    alice.deliver([make_event(email, "click", int(time.time()), url=url)])
    bounce = make_event(email, "bounce", int(time.time()), reason=f"550 {DONOR['email']}: unknown")
    alice.deliver([bounce])
    gift = alice.gift(
        spring,
        donor=DONOR,
        email_id=email,
        external_id="Numbat-gift",
        recurring_id="Numbat-plan",
    )
    alice.gift(spring, donor=OTHER)
    set_stripe_secret(alice)
    event = make_charge_event("succeeded")
    event["data"]["object"]["billing_details"] = DONOR
    event["data"]["object"]["receipt_email"] = DONOR["email"]
    post_stripe_event(alice, event)
    settle_all()
    note_duplicate(alice)
    return {
        "fundraisers": spring,
        "mailings": mailing,
        "users": alice.get(f"/v1/emails/{email}")["user_id"],
        "donations": gift,
    }


def note_duplicate(alice: University) -> None:
    """Note that two users have the same address since a migration."""
    first, second = (
        get_db().users.find_one({"email": one["email"]})["_id"] for one in (DONOR, OTHER)
    )
    get_db().users.update_one({"_id": first}, {"$set": {"address": "earlier key"}})
    row = {"_id": first, "organization_id": ObjectId(alice.id), "collection": "users"}
    get_db().duplicates.insert_one({**row, "kept_id": second, "noted_at": now()})


def list_pages(ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each path that a viewer or an editor can load, with its queries."""
    for route in (*VIEWER_ROUTES, *EDITOR_ROUTES):
        method, path = route.split(" ")
        if method != "GET":
            continue
        noun = path.split("/")[2] if path.count("/") > 1 else ""
        at = path.replace("{id}", ids.get(PAGE_NOUNS.get(noun, noun), ""))
        tables = ("funnel", "matches", "raised-over-time", "mailings", "links")
        for table in tables if "{table}" in at else ("",):
            for query in QUERIES.get(path.partition(".")[0], [""]):
                asked = query.format(**ids)
                yield at.replace("{table}", table), asked


BY = ["", "by=alumni_number", "by=class_year", "by=mailbox_provider"]
QUERIES = {
    "/dashboard/fundraisers/{id}": BY,
    "/dashboard/mailings/{id}/experiment": BY,
    "/dashboard/gifts": [f"match={one}" for one in ("none", "link", "address", "pinned", "all")],
    "/dashboard/mailings/{id}": [*BY, "did=clicked", "did=gave"],
    "/dashboard/mailings/{id}/recipients": ["", "did=clicked"],
    "/dashboard/live": ["watch=users:{users},donations:{donations},new_donations:{donations}"],
}


def read(answer: testing.Result) -> str:
    """Return all bytes of an answer as text, with its headers and without its compression."""
    head = str(answer.headers).casefold()
    if "spreadsheet" not in answer.headers.get("content-type", ""):
        return head + answer.content.decode("latin-1").casefold()
    with zipfile.ZipFile(BytesIO(answer.content)) as book:
        return head + "".join(book.read(name).decode() for name in book.namelist()).casefold()


def find_names(browser: Browser, ids: dict[str, str]) -> tuple[int, dict[str, list[str]]]:
    walked, found = 0, {}
    for path, query in list_pages(ids):
        answer = browser.get(path, query_string=query)
        assert answer.status_code in {200, 403, 404}, (path, query, answer.status_code)
        walked += answer.status_code == 200
        if named := [secret for secret in SECRETS if secret in read(answer)]:
            found[f"{path}?{query}"] = named
    return walked, found


def test_a_viewer_finds_no_name_and_no_address_on_any_page(
    real_client: testing.TestClient, alice: University, ids: dict[str, str]
) -> None:
    viewer = sign_in_staff(real_client, alice.id, "vera@example.edu", "viewer")
    walked, found = find_names(viewer, ids)
    assert walked > 25
    assert found == {}
    assert "hides names and addresses" in viewer.get("/dashboard/gifts").text
    for path in (f"fundraisers/{ids['fundraisers']}", f"mailings/{ids['mailings']}"):
        page = viewer.get(f"/dashboard/{path}", query_string="by=class_year").text
        assert SHARED_VALUE in page, path
        assert "All other values" in page, path
    page = viewer.get(f"/dashboard/people/{ids['users']}").text
    assert f"#{ids['users'][-6:]}" in page


@pytest.mark.parametrize("role", ["editor", "admin"])
def test_editors_and_admins_see_them(
    real_client: testing.TestClient, alice: University, ids: dict[str, str], role: str
) -> None:
    browser = sign_in_staff(real_client, alice.id, "erik@example.edu", role)
    _, found = find_names(browser, ids)
    assert {one for named in found.values() for one in named} >= {
        one.casefold() for one in (*NAMES, *DETAILS) if one != "Numbat-plan"
    }
    expected = (
        "gifts",
        "gifts/{id}",
        "gifts.csv",
        "gifts.xlsx",
        "payments",
        "people/{id}",
        "health",
    )
    for path in (
        *expected,
        "mailings/{id}",
        "mailings/{id}/recipients.csv",
        "fundraisers/{id}",
        CHANGES,
    ):
        noun = path.split("/")[0]
        at = path.replace("{id}", ids.get(PAGE_NOUNS.get(noun, noun), ""))
        assert any(one.startswith(f"/dashboard/{at}?") for one in found), path


def test_without_the_setting_viewers_see_them(
    real_client: testing.TestClient, alice: University, ids: dict[str, str]
) -> None:
    viewer = sign_in_staff(real_client, alice.id, "vera@example.edu", "viewer")
    Organization.objects(id=alice.id).update(set__hides_personal_data=False)
    assert "Quentin" in viewer.get(f"/dashboard/people/{ids['users']}").text


def test_a_viewer_cannot_search_for_people(
    real_client: testing.TestClient, alice: University, ids: dict[str, str]
) -> None:
    viewer = sign_in_staff(real_client, alice.id, "vera@example.edu", "viewer")
    for path in (
        f"mailings/{ids['mailings']}",
        f"gifts/{ids['donations']}",
    ):
        answers = [
            viewer.get(f"/dashboard/{path}", query_string=f"q={word}")
            for word in ("quentin", "nobody")
        ]
        assert [one.status_code for one in answers] == [422, 422], path
    page = viewer.get(f"/dashboard/mailings/{ids['mailings']}").text
    assert 'role="search"' not in page


def test_the_setting_applies_to_the_next_request(
    real_client: testing.TestClient, alice: University, ids: dict[str, str]
) -> None:
    viewer = sign_in_staff(real_client, alice.id, "vera@example.edu", "viewer")
    admin = sign_in_staff(real_client, alice.id, "anna@example.edu", "admin")
    at = f"/dashboard/people/{ids['users']}"
    assert "Quentin" not in viewer.get(at).text
    assert admin.send("/dashboard/privacy").status_code == 303
    assert "Quentin" in viewer.get(at).text
    assert admin.send("/dashboard/privacy", {"hides_personal_data": "1"}).status_code == 303
    assert "Quentin" not in viewer.get(at).text


def test_a_record_that_is_saved_keeps_its_name(alice: University, ids: dict[str, str]) -> None:
    with hide_personal_data():
        user = User.fetch(ObjectId(alice.id), ids["users"])
        assert (user.name, user.email) == (f"#{ids['users'][-6:]}", "")
        assert user.attributes == {}
        user.donations_count = 7
        user.save()
        gift = Donation.fetch(ObjectId(alice.id), ids["donations"])
        assert gift.external_id is gift.recurring_id is gift.client_external_id is None
        gift.save()
    stored = get_db().users.find_one({"_id": ObjectId(ids["users"])}) or {}
    assert (stored["name"], stored["donations_count"]) == (DONOR["name"], 7)
    assert stored["attributes"] == ATTRIBUTES
    kept = get_db().donations.find_one({"_id": ObjectId(ids["donations"])}) or {}
    assert (kept["external_id"], kept["recurring_id"]) == ("Numbat-gift", "Numbat-plan")


def test_every_page_of_a_viewer_is_walked(ids: dict[str, str]) -> None:
    walked = {path.partition("?")[0] for path, _ in list_pages(ids)}
    assert len(walked) >= len([route for route in VIEWER_ROUTES if route.startswith("GET")])
    assert len(DASHBOARD_ROUTES) > 50
    assert StaffSession.objects.count() == 0
