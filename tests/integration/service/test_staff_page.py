"""Alice, an admin, manages the people of her organization on a page."""

import re

import pytest
from bson import ObjectId
from falcon import testing

from documents.access.audit import OpenAct
from documents.access.staff import Staff
from documents.removal import remove_staff
from tests.integration.documents.organizations.furnished import find_traces
from tools.testbed.cast import Api, University, create_university
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, extract_text, sign_in_staff

PAGE = "/dashboard/settings/staff"
ALICE, BEN = "alice@example.edu", "ben@example.edu"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    return sign_in_staff(real_client, alice.id, ALICE)


def read_secret(answer: testing.Result) -> str:
    found = re.search(r"token=([\w-]{43})", answer.text)
    assert found
    return found[1]


def sign_in_by(client: testing.TestClient, secret: str) -> Browser:
    browser = Browser(client)
    browser.get("/dashboard/sign-in/link", query_string=f"token={secret}")
    browser.send("/dashboard/sign-in/link", {"token": secret})
    browser.get("/dashboard/account")
    return browser


def test_alice_invites_ben_who_chooses_a_password(
    real_client: testing.TestClient, browser: Browser
) -> None:
    answer = browser.send(PAGE, {"email": BEN, "name": "Ben", "role": "editor"})
    assert answer.status_code == 201
    ben = sign_in_by(real_client, read_secret(answer))
    assert ben.send("/dashboard/account", {"password": STAFF_PASSWORD}).status_code == 303
    assert Browser(real_client).sign_in(BEN).status_code == 303
    assert Staff.named(BEN).role == "editor"
    listed = extract_text(browser.get(PAGE))
    assert "Ben ben@example.edu" in listed
    act = OpenAct.objects(action=f"POST {PAGE}").first()
    assert act.outcome == 201
    assert BEN not in str(act.to_mongo())


def test_settings_show_the_number_of_staff_only(browser: Browser, alice: University) -> None:
    """The page of staff has pages; a list of all would make this one as long as the staff."""
    for number in range(3):
        add_staff(alice.id, f"colleague-{number}@example.edu", "viewer")
    page = browser.get("/dashboard/settings")
    assert "Staff 4 staff members Manage staff" in extract_text(page)
    assert "colleague-" not in page.text


def test_a_new_link_replaces_a_lost_one(real_client: testing.TestClient, browser: Browser) -> None:
    browser.send(PAGE, {"email": BEN, "role": "viewer"})
    again = browser.send(PAGE, {"email": BEN, "role": "viewer"})
    assert again.status_code == 409
    assert "is a staff member already" in extract_text(again)
    browser.get(PAGE)
    answer = browser.send(f"{PAGE}/{Staff.named(BEN).id}/link")
    ben = sign_in_by(real_client, read_secret(answer))
    assert ben.get("/dashboard").status_code == 200
    browser.get(PAGE)
    late = browser.send(f"{PAGE}/{Staff.named(BEN).id}/link")
    assert late.status_code == 409
    assert "has signed in before" in extract_text(late)  # or Alice could act as Ben


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"email": "not an address", "role": "viewer"}, "Enter a valid email address."),
        ({"email": BEN, "role": "owner"}, "Choose a role."),
        ({"email": BEN}, "Choose a role."),
        ({"email": BEN, "role": "viewer", "name": "x" * 201}, "Enter a name"),
    ],
)
def test_an_invalid_invitation_is_explained(
    browser: Browser, fields: dict[str, str], text: str
) -> None:
    answer = browser.send(PAGE, fields)
    assert answer.status_code == 422
    assert text in extract_text(answer)
    assert Staff.known(BEN) is None


def test_roles_sessions_and_removals_apply_at_once(
    real_client: testing.TestClient, alice: University, browser: Browser
) -> None:
    ben = sign_in_staff(real_client, alice.id, BEN, "viewer")
    at = f"{PAGE}/{Staff.named(BEN).id}"
    assert ben.get(PAGE).status_code == 403
    assert browser.send(f"{at}/role", {"role": "admin"}).status_code == 303
    assert ben.get(PAGE).status_code == 200
    assert browser.send(f"{at}/end").status_code == 303
    assert ben.get("/dashboard").status_code == 303
    ben.sign_in(BEN)
    assert browser.send(f"{at}/remove").status_code == 303
    assert ben.get("/dashboard").status_code == 303
    assert "ben@example.edu" not in browser.get(PAGE).text
    assert find_traces(BEN) == []


def test_a_removed_person_is_signed_out_and_the_address_is_free(
    real_client: testing.TestClient, alice: University, browser: Browser
) -> None:
    ben = sign_in_staff(real_client, alice.id, BEN, "viewer")
    remove_staff(Staff.named(BEN))
    assert ben.get("/dashboard").status_code == 303
    add_staff(alice.id, BEN)
    assert ben.sign_in(BEN).status_code == 303


def test_the_last_admin_stays(browser: Browser, alice: University) -> None:
    add_staff(alice.id, BEN, "editor")
    at = f"{PAGE}/{Staff.named(ALICE).id}"
    for form, fields in (("role", {"role": "viewer"}), ("remove", {})):
        answer = browser.send(f"{at}/{form}", fields)
        assert answer.status_code == 409
        assert "This is the last admin who has signed in." in extract_text(answer)
        browser.get(PAGE)
    assert browser.send(f"{PAGE}/{Staff.named(BEN).id}/role", {"role": "admin"}).status_code == 303
    assert browser.send(f"{at}/role", {"role": "viewer"}).status_code == 303
    assert browser.get(PAGE).status_code == 403


def test_charlie_manages_nobody_of_alices(
    real_client: testing.TestClient, alice: University, browser: Browser
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    spy = sign_in_staff(real_client, charlie.id, "charlie@example.edu")
    target = Staff.named(ALICE)
    for form in ("role", "link", "end", "remove"):
        answer = spy.send(f"{PAGE}/{target.id}/{form}", {"role": "viewer"})
        assert answer.status_code == 404, form
    assert Staff.fetch(ObjectId(alice.id), target.id) == target
    assert browser.get("/dashboard").status_code == 200
    assert ALICE not in spy.get(PAGE).text
