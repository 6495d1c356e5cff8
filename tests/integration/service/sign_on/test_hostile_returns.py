"""Mallory configures a provider of her own organization, and plays with what browsers send."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.organization import Organization
from service.routes import DASHBOARD_ROUTES
from tests.integration.service.sign_on.conftest import (
    ALICE,
    begin,
    come_back,
    find_provider,
    find_staff,
    list_actions,
    sign_on,
)
from tools.testbed.cast import UNKNOWN_ID, University
from tools.testbed.identity_provider import IdentityProvider
from tools.testbed.pages import Browser, add_staff, extract_text, sign_in_staff

HOSTILE_BACKS = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "/dashboard/../../evil",
    "/dashboard//evil.example\n",
    "javascript:alert(1)",
    "/dashboard@evil.example",
]


def fill(path: str, ids: dict[str, str]) -> str:
    for name, value in {"name": "sendgrid", "table": "links", "delivery_id": UNKNOWN_ID}.items():
        path = path.replace(f"{{{name}}}", value)
    kind = path.split("/")[2] if path.count("/") > 2 else ""
    return path.replace("{id}", ids.get(kind, UNKNOWN_ID))


def store_of(place: University) -> dict[str, Any]:
    names = set(get_db().list_collection_names()) - {"staff", "staff_sessions", "system.profile"}
    owner = {"organization_id": ObjectId(place.id)}
    return {name: list(get_db()[name].find(owner).sort("_id", 1)) for name in names}


@pytest.mark.parametrize("shows_alma", [True, False])
def test_another_organizations_provider_never_opens_this_one(
    browser: Browser,
    alma: University,
    bolt: University,
    other_idp: IdentityProvider,
    shows_alma: bool,
) -> None:
    """Bolt's provider asserts the address of Alma's admin, who also belongs to Bolt.

    In the second round, Mallory's stored session even names Alma's member.
    """
    spring = alma.fundraiser("Alma Day")
    ids = {"fundraisers": spring, "gifts": alma.gift(spring)}
    add_staff(alma.id, ALICE, "admin")
    Staff.add(ObjectId(bolt.id), "Alice", ALICE, "admin")
    assert sign_on(browser, bolt, other_idp, email=ALICE).status_code == 303
    token = browser.token
    answer = browser.send("/dashboard/organization", {"organization": alma.id})
    assert answer.status_code == 404  # Mallory does not even learn that Alice works there
    assert "Alma University" not in browser.get("/dashboard").text
    browser.token = token
    if shows_alma:
        session = StaffSession.current(browser.cookies["matchback-session"])
        assert session
        session.show(find_staff(alma))
    before, walked = store_of(alma), 0
    for path, resource, suffix in DASHBOARD_ROUTES:
        for verb in ("get", "post"):
            responder = getattr(resource, f"on_{verb}_{suffix}" if suffix else f"on_{verb}", None)
            if not getattr(responder, "needs_session", False) or path == "/dashboard/sign-out":
                continue
            browser.token, at = token, fill(path, ids)
            query = f"watch=fundraisers:{spring}" if path == "/dashboard/live" else ""
            answer = browser.get(at, query_string=query) if verb == "get" else browser.send(at)
            assert b"Alma Day" not in answer.content, path
            if shows_alma:
                assert answer.status_code == 303, path
                assert answer.headers["location"].startswith("/dashboard/sign-in"), path
            walked += 1
    assert walked > 60
    assert store_of(alma) == before


def test_a_provider_cannot_sign_in_to_the_callback_of_another_organization(
    browser: Browser, alma: University, bolt: University, other_idp: IdentityProvider
) -> None:
    add_staff(alma.id, ALICE, "admin")
    query = other_idp.authorize(begin(browser, organization=bolt.id))
    assert come_back(browser, alma, query).status_code == 403
    assert "matchback-session" not in browser.cookies


def test_a_return_counts_once(
    browser: Browser, alma: University, idp: IdentityProvider, real_client: testing.TestClient
) -> None:
    query = idp.authorize(begin(browser))
    visitor = dict(browser.cookies)
    assert come_back(browser, alma, query).status_code == 303
    session = browser.cookies["matchback-session"]
    answer = come_back(browser, alma, query)
    assert answer.status_code == 403
    assert "was already used" in extract_text(answer)
    assert browser.cookies["matchback-session"] == session
    again = Browser(real_client, visitor)
    assert come_back(again, alma, query).status_code == 403
    assert "matchback-session" not in again.cookies


def test_of_fifty_returns_at_once_one_counts(
    browser: Browser, alma: University, idp: IdentityProvider, real_client: testing.TestClient
) -> None:
    query = idp.authorize(begin(browser))
    copies = [Browser(real_client, dict(browser.cookies)) for _ in range(50)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: come_back(one, alma, query), copies))
    assert sorted(one.status_code for one in answers) == [303] + [403] * 49
    assert get_db().staff_sessions.count_documents({}) == 1


def test_another_browsers_state_signs_no_one_in(
    browser: Browser, alma: University, idp: IdentityProvider, real_client: testing.TestClient
) -> None:
    """Mallory sends Alice the URL of her own return, so that Alice would work as Mallory."""
    query = idp.authorize(begin(browser), sub="mallory", email="mallory@example.edu")
    alice = Browser(real_client)
    assert come_back(alice, alma, query).status_code == 403
    begin(alice)
    answer = come_back(alice, alma, query)
    assert answer.status_code == 403
    assert "matchback-session" not in alice.cookies
    assert not any("rejected" in one for one in list_actions(alma))  # strangers can cause it
    assert come_back(browser, alma, query).status_code == 303  # it stays valid in its own


@pytest.mark.parametrize("back", HOSTILE_BACKS)
def test_the_return_leads_to_the_dashboard_only(
    browser: Browser, alma: University, idp: IdentityProvider, back: str
) -> None:
    query = idp.authorize(begin(browser, back=back))
    assert come_back(browser, alma, query).headers["location"] == "/dashboard"


@pytest.mark.parametrize(
    "query",
    ["", "state=", "state=a&state=b&code=c", "error=access_denied", "state=%00&code=%ff"],
)
def test_malformed_returns_are_rejected(
    browser: Browser, alma: University, query: str, idp: IdentityProvider
) -> None:
    begin(browser)
    answer = browser.get(f"/dashboard/sign-in/sso/{alma.id}", query_string=query)
    assert answer.status_code in (400, 403)
    assert browser.get("/dashboard/sign-in/sso/nonsense").status_code == 404
    assert browser.get(f"/dashboard/sign-in/sso/{UNKNOWN_ID}").status_code == 403


def test_a_session_keeps_the_grants_of_the_same_person_only(
    browser: Browser,
    alma: University,
    bolt: University,
    idp: IdentityProvider,
    other_idp: IdentityProvider,
) -> None:
    sign_on(browser, alma, idp)
    Staff.add(ObjectId(bolt.id), "Alice", ALICE, "viewer")
    sign_on(browser, bolt, other_idp, email=ALICE)
    answer = browser.send("/dashboard/organization", {"organization": alma.id})
    assert answer.headers["location"] == "/dashboard"
    assert "Alma University" in extract_text(browser.get("/dashboard/account"))
    assert get_db().staff_sessions.count_documents({}) == 1
    sign_on(browser, bolt, other_idp, sub="charlie", email="charlie@bolt.example.edu")
    assert browser.send("/dashboard/organization", {"organization": alma.id}).status_code == 404


def test_only_a_session_of_the_provider_can_require_it(
    browser: Browser, alma: University, idp: IdentityProvider, real_client: testing.TestClient
) -> None:
    ben = sign_in_staff(real_client, alma.id, "ben@example.edu")
    path = "/dashboard/settings/sign-on"
    assert 'name="required"' not in ben.get(path).text
    answer = ben.send(f"{path}/required", {"required": "1"})
    assert answer.status_code == 409
    assert "First sign out" in extract_text(answer)
    add_staff(alma.id, ALICE)
    sign_on(browser, alma, idp)
    find_provider(alma).set_rules(admission="domain", group_claim="roles")
    browser.get(path)
    assert browser.send(f"{path}/required", {"required": "1"}).status_code == 409  # changed since
    sign_on(browser, alma, idp)
    assert 'name="required"' in browser.get(path).text
    assert browser.send(f"{path}/required", {"required": "1"}).status_code == 303
    assert Organization.objects.get(id=alma.id).requires_single_sign_on
    assert ben.get("/dashboard").status_code == 303  # at the next request
    browser.get(path)
    other = {"issuer": "https://idp.example.com", "client_id": "matchback", "client_secret": "x"}
    answer = browser.send(path, other)
    assert answer.status_code == 409
    assert "could lock everyone out" in extract_text(answer)
    browser.get(path)
    same = {"issuer": idp.issuer, "client_id": "matchback", "client_secret": "a-new-secret"}
    assert browser.send(path, same).status_code == 303  # secrets expire
    browser.get(path)
    assert browser.send(f"{path}/required").headers["location"].endswith("done=optional")
    assert ben.get("/dashboard").status_code == 200
