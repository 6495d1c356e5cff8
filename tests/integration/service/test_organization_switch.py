"""Anna works for two universities. Each page, form, stream and file stays within the shown one."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.members import end_member_sessions, remove_member
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink, StaffSession
from documents.fundraiser import Fundraiser
from documents.organization import Organization
from service.dashboard.live.hub import Hub
from service.dashboard.live.viewer import Viewer
from service.dashboard.live.watch import read_watch
from service.routes import DASHBOARD_ROUTES
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university
from tools.testbed.pages import Browser, add_staff, extract_text

ANNA = "anna@example.edu"


@pytest.fixture
def browser(real_client: testing.TestClient, alma: University, bolt: University) -> Browser:
    add_staff(alma.id, ANNA)
    Staff.add(ObjectId(bolt.id), "Anna", ANNA, "admin")
    browser = Browser(real_client)
    browser.sign_in(ANNA)
    browser.get("/dashboard")
    return browser


def switch(browser: Browser, to: University) -> testing.Result:
    answer = browser.send("/dashboard/organization", {"organization": to.id})
    browser.get("/dashboard/account")
    return answer


def test_the_header_switches_between_organizations(
    browser: Browser, alma: University, bolt: University
) -> None:
    alma.fundraiser("Alma Day")
    bolt.fundraiser("Bolt Day")
    page = browser.get("/dashboard").text
    assert "Alma Day" in page
    assert "Bolt Day" not in page
    answer = switch(browser, bolt)
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")
    page = browser.get("/dashboard").text
    assert "Bolt Day" in page
    assert "Alma Day" not in page


def test_a_person_of_one_organization_sees_no_switch(
    real_client: testing.TestClient, alma: University
) -> None:
    add_staff(alma.id, "ben@example.edu")
    ben = Browser(real_client)
    ben.sign_in("ben@example.edu")
    assert "/dashboard/organization" not in ben.get("/dashboard").text


def test_a_new_sign_in_shows_the_last_organization(
    browser: Browser, real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    switch(browser, bolt)
    other = Browser(real_client)
    other.sign_in(ANNA)
    assert "Bolt University" in extract_text(other.get("/dashboard/account"))


def test_nobody_switches_to_a_foreign_or_unknown_organization(
    browser: Browser, real_client: testing.TestClient
) -> None:
    other = create_university("Charlie's University", Api.in_process(real_client))
    for id_ in (other.id, UNKNOWN_ID, "", "x"):
        answer = browser.send("/dashboard/organization", {"organization": id_})
        assert answer.status_code == 404, id_
    assert "Alma University" in extract_text(browser.get("/dashboard/account"))


def test_no_form_of_another_tab_acts_on_the_organization_that_is_shown(
    browser: Browser, alma: University, bolt: University
) -> None:
    """Every form that a page of Alma made, after the browser switched to Bolt in another tab."""
    old_tab = browser.token
    switch(browser, bolt)
    before = store_of(alma), store_of(bolt)
    walked = 0
    for path, resource, suffix in DASHBOARD_ROUTES:
        responder = getattr(resource, f"on_post_{suffix}" if suffix else "on_post", None)
        if not getattr(responder, "needs_session", False) or path in FOR_THE_PERSON:
            continue
        browser.token = old_tab
        at = path.replace("{id}", UNKNOWN_ID).replace("{delivery_id}", UNKNOWN_ID)
        at = at.replace("{name}", "sendgrid")
        answer = (
            browser.upload(at, b"email,name\n", {"records": "users"})
            if path == "/dashboard/imports"
            else browser.send(at, {"name": "New", "scopes": "read", "locale": "de-DE"})
        )
        assert answer.status_code == 409, path
        text = extract_text(answer)
        assert "Another organization is shown" in text, path
        assert "Switch to Alma University" in text, path
        walked += 1
    assert walked >= 20
    assert (store_of(alma), store_of(bolt)) == before
    answer = switch(browser, alma)  # with the button of that page
    assert answer.status_code == 303


FOR_THE_PERSON = {"/dashboard/organization", "/dashboard/sign-out"}


def store_of(university: University) -> dict[str, Any]:
    names = set(get_db().list_collection_names()) - {"staff", "staff_sessions", "system.profile"}
    owner = {"organization_id": ObjectId(university.id)}
    return {name: list(get_db()[name].find(owner).sort("_id", 1)) for name in names}


def test_an_old_tab_can_still_switch_and_sign_out(
    browser: Browser, alma: University, bolt: University
) -> None:
    old_tab = browser.token
    switch(browser, bolt)
    browser.token = old_tab
    assert browser.send("/dashboard/organization", {"organization": alma.id}).status_code == 303
    browser.token = old_tab
    assert browser.send("/dashboard/sign-out").status_code == 303
    assert browser.get("/dashboard").status_code == 303


def test_a_stream_ends_when_the_browser_shows_another_organization(
    browser: Browser, alma: University, bolt: University
) -> None:
    spring = alma.fundraiser()
    session = StaffSession.objects.get()
    sent: list[bytes] = []
    hub = Hub(StaffSession.list_current)
    watched = read_watch(f"fundraisers:{spring}", ObjectId(alma.id))
    shown = (session.id, session.organization_id)
    hub.greet(Viewer(shown, watched, sent.append, lambda: None))
    switch(browser, bolt)
    hub.tick(1.0)
    assert b"event: bye" in sent[-1]
    assert hub.is_empty


def test_a_stream_of_the_other_organization_shows_nothing(
    browser: Browser, alma: University, bolt: University
) -> None:
    spring = alma.fundraiser()
    switch(browser, bolt)
    watched = read_watch(f"fundraisers:{spring}", ObjectId(bolt.id))
    assert Fundraiser.objects(id=next(iter(watched)).id, organization_id=bolt.id).first() is None
    assert browser.get(f"/dashboard/fundraisers/{spring}").status_code == 404
    assert browser.get(f"/dashboard/fundraisers/{spring}/gifts.csv").status_code == 404


def test_a_removal_applies_to_the_next_request(
    browser: Browser, alma: University, bolt: University
) -> None:
    add_staff(bolt.id, "ben@example.edu")
    member = Staff.named(ANNA, ObjectId(bolt.id))
    remove_member(member)
    assert "/dashboard/organization" not in browser.get("/dashboard").text
    answer = browser.send("/dashboard/organization", {"organization": bolt.id})
    assert answer.status_code == 404
    assert browser.get("/dashboard").status_code == 200


def test_ended_sessions_need_a_new_sign_in_to_that_organization(
    browser: Browser, bolt: University
) -> None:
    end_member_sessions(Staff.named(ANNA, ObjectId(bolt.id)))
    answer = browser.send("/dashboard/organization", {"organization": bolt.id})
    at = f"/dashboard/sign-in?organization={bolt.id}"
    assert (answer.status_code, answer.headers["location"]) == (303, at)
    browser.get("/dashboard/sign-in", query_string=f"organization={bolt.id}")
    fields = {"email": ANNA, "password": "correct horse battery", "organization": bolt.id}
    browser.send("/dashboard/sign-in", fields)
    assert "Bolt University" in extract_text(browser.get("/dashboard/account"))


def test_a_membership_that_begins_during_the_session_can_be_shown(
    browser: Browser, real_client: testing.TestClient
) -> None:
    other = create_university("Cole University", Api.in_process(real_client))
    Staff.add(ObjectId(other.id), "Anna", ANNA, "viewer")
    assert switch(browser, other).headers["location"] == "/dashboard"
    assert "Cole University" in extract_text(browser.get("/dashboard/account"))


def test_single_sign_on_grants_only_its_own_organization(
    real_client: testing.TestClient, browser: Browser, alma: University, bolt: University
) -> None:
    member = Staff.named(ANNA, ObjectId(alma.id))
    browser.cookies["matchback-session"] = StaffSession.begin(member, way="single sign-on")
    page = extract_text(browser.get("/dashboard/account"))
    assert "Bolt University" not in page  # Alma's provider could assert any address
    assert "Sign in to another organization" in page
    answer = browser.send("/dashboard/organization", {"organization": bolt.id})
    assert answer.status_code == 404
    assert "Alma University" in extract_text(browser.get("/dashboard/account"))
    session = StaffSession.current(browser.cookies["matchback-session"])
    assert session
    other = Staff.named(ANNA, ObjectId(bolt.id))
    secret = StaffSession.begin(other, way="single sign-on", before=session)
    browser.cookies["matchback-session"] = secret
    browser.get("/dashboard/account")
    assert switch(browser, alma).headers["location"] == "/dashboard"
    assert switch(browser, bolt).headers["location"] == "/dashboard"


def test_a_session_of_a_provider_shows_and_ends_those_of_its_organization_only(
    real_client: testing.TestClient, browser: Browser, alma: University, bolt: University
) -> None:
    switch(browser, bolt)  # signed in by password
    member = Staff.named(ANNA, ObjectId(alma.id))
    secret = StaffSession.begin(member, way="single sign-on")
    asserted = Browser(real_client, {"matchback-session": secret})
    page = asserted.get("/dashboard/account").text
    assert page.count('<td data-title="Last used">') == 1
    assert browser.get("/dashboard/account").text.count('<td data-title="Last used">') == 2
    asserted.send("/dashboard/sign-out", {"everywhere": "1"})
    assert asserted.get("/dashboard").status_code == 303
    assert browser.get("/dashboard").status_code == 200


def test_an_organization_that_requires_single_sign_on_accepts_no_password(
    browser: Browser, alma: University, bolt: University
) -> None:
    Organization.objects(id=bolt.id).update(set__requires_single_sign_on=True)
    answer = browser.send("/dashboard/organization", {"organization": bolt.id})
    assert answer.headers["location"] == f"/dashboard/sign-in?organization={bolt.id}"
    Organization.objects(id=alma.id).update(set__requires_single_sign_on=True)
    assert browser.get("/dashboard").status_code == 303
    secret = SignInLink.make(Staff.named(ANNA, ObjectId(bolt.id)))  # the operator's way in
    browser.get("/dashboard/sign-in/link", query_string=f"token={secret}")
    browser.send("/dashboard/sign-in/link", {"token": secret})
    assert "Bolt University" in extract_text(browser.get("/dashboard/account"))
    answer = browser.send("/dashboard/organization", {"organization": alma.id})
    assert answer.headers["location"] == f"/dashboard/sign-in?organization={alma.id}"
