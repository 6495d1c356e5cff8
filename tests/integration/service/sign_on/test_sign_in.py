"""Alice signs in through her university's provider."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink, StaffSession
from documents.organization import Organization
from documents.sign_on.fetching import forget_failures
from documents.values.time import now
from tests.integration.service.sign_on.conftest import (
    ALICE,
    begin,
    come_back,
    find_provider,
    find_staff,
    list_actions,
    set_provider,
    sign_on,
)
from tools.testbed.cast import Api, University, create_university
from tools.testbed.identity_provider import IdentityProvider, Reply
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, extract_text

CALLBACK = "GET /dashboard/sign-in/sso/{organization_id}"


def test_the_domain_leads_to_the_provider_and_the_person_comes_in(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    url = begin(browser, back="/dashboard/gifts?q=1")
    assert url.startswith(f"{idp.issuer}/authorize?")
    asked = parse_qs(urlsplit(url).query)
    assert asked["login_hint"] == [ALICE]
    assert asked["code_challenge_method"] == ["S256"]
    answer = come_back(browser, alma, idp.authorize(url))
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/gifts?q=1")
    page = extract_text(browser.get("/dashboard/account"))
    assert "Alma University" in page
    assert "Alice Adams" in page
    added = find_staff(alma)
    assert (added.role, added.subject) == ("viewer", f"{idp.issuer} alice-at-the-provider")
    assert list_actions(alma)[-2:] == ["member added as viewer", CALLBACK]


def test_known_and_unknown_addresses_get_the_same_answer(
    browser: Browser, alma: University, real_client: testing.TestClient
) -> None:
    add_staff(alma.id, ALICE)
    for email in (ALICE, "nobody@example.edu"):
        assert "/authorize?" in begin(Browser(real_client), email)
        elsewhere = email.replace("example.edu", "elsewhere.edu")
        other = Browser(real_client)
        other.get("/dashboard/sign-in")
        answer = other.send("/dashboard/sign-in", {"email": elsewhere})
        assert answer.status_code == 422
        assert "The domain of this address has no single sign-on" in extract_text(answer)


def test_organizations_that_share_a_domain_are_offered_by_name(
    browser: Browser, alma: University, idp: IdentityProvider, real_client: testing.TestClient
) -> None:
    second = create_university("Alma Law School", Api.in_process(real_client))
    set_provider(second, idp)
    browser.get("/dashboard/sign-in")
    page = browser.send("/dashboard/sign-in", {"email": ALICE, "back": "/dashboard/gifts"})
    assert page.status_code == 200
    assert "Alma Law School" in page.text
    assert f'value="{alma.id}"' in page.text
    url = begin(browser, organization=second.id)
    assert f"sso%2F{second.id}" in url
    assert come_back(browser, second, idp.authorize(url)).status_code == 303
    assert "Alma Law School" in extract_text(browser.get("/dashboard/account"))


def test_a_member_is_found_by_subject_after_the_address_has_changed(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    add_staff(alma.id, ALICE, "editor")
    sign_on(browser, alma, idp)
    member = find_staff(alma)
    assert (member.role, member.email) == ("editor", ALICE)
    sign_on(browser, alma, idp, email="alice.adams@example.edu")
    assert Staff.live(ObjectId(alma.id)).count() == 1
    assert find_staff(alma).last_sign_in_at


def test_a_new_owner_of_an_address_does_not_become_the_member(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    answer = sign_on(browser, alma, idp, sub="another-alice")
    assert answer.status_code == 403
    assert "belonged to another person" in extract_text(answer)
    assert list_actions(alma)[-1] == "sign-in rejected: person_changed"


def test_a_removed_member_frees_the_subject(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    remove_member(find_staff(alma))
    assert browser.get("/dashboard").status_code == 303
    assert sign_on(browser, alma, idp).status_code == 303  # the rules still admit her
    find_provider(alma).set_rules(admission="invited")
    remove_member(find_staff(alma))
    assert sign_on(browser, alma, idp).status_code == 403


def test_the_role_follows_the_groups_at_each_sign_in(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    roles = {"Fund raising": "editor", "leads": "admin"}
    find_provider(alma).set_rules(admission="group", group_roles=roles)
    sign_on(browser, alma, idp, groups=["Fund raising"])
    assert find_staff(alma).role == "editor"
    add_staff(alma.id, "ben@example.edu", "admin")
    sign_on(browser, alma, idp, groups=["leads", "Fund raising"])
    assert find_staff(alma).role == "admin"
    sign_on(browser, alma, idp, groups=["Fund raising"])
    assert find_staff(alma).role == "editor"
    assert "role changed by claim: admin to editor" in list_actions(alma)
    answer = sign_on(browser, alma, idp, groups=["other"])
    assert answer.status_code == 403
    assert "None of your groups" in extract_text(answer)


def test_claims_do_not_demote_the_last_admin(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    add_staff(alma.id, ALICE, "admin")
    find_provider(alma).set_rules(admission="group", group_roles={"all": "viewer"})
    assert sign_on(browser, alma, idp, groups=["all"]).status_code == 303
    assert find_staff(alma).role == "admin"


@pytest.mark.parametrize(
    ("rules", "claims", "text", "advice"),
    [
        ({"admission": "invited"}, {}, "You are not invited.", "Invite the person"),
        ({}, {"email": "eve@evil.edu"}, "domain is not admitted", "Ask your operator to verify"),
        ({}, {"email_verified": False}, "has not verified your email address", "Verify it there"),
        ({"admission": "group"}, {}, "does not report your groups", "Check its name here"),
        ({"admission": "group"}, {"groups": []}, "Ask an admin.", "Compare the names exactly"),
        ({}, {"aud": "another-client"}, "a token that is not valid", "Check the client ID"),
    ],
)
def test_a_rejected_person_learns_why_and_the_admin_sees_it(
    real_client: testing.TestClient,
    alma: University,
    idp: IdentityProvider,
    rules: dict[str, Any],
    claims: dict[str, Any],
    text: str,
    advice: str,
) -> None:
    find_provider(alma).set_rules(**{"admission": "domain", **rules})
    eve = Browser(real_client)
    answer = sign_on(eve, alma, idp, **claims)
    page = extract_text(answer)
    assert answer.status_code == 403
    assert text in page
    assert answer.headers["x-request-id"] in page
    assert "matchback-session" not in eve.cookies
    add_staff(alma.id, "ben@example.edu")
    ben = Browser(real_client)
    ben.sign_in("ben@example.edu")
    seen = extract_text(ben.get("/dashboard/settings/sign-on"))
    assert advice in seen
    assert "Ask an admin" not in seen
    assert answer.headers["x-request-id"] in seen
    assert "evil.edu" not in seen


def test_errors_speak_the_language_of_the_browser(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    find_provider(alma).set_rules(admission="invited")
    url = begin(browser)
    query = idp.authorize(url)
    path = f"/dashboard/sign-in/sso/{alma.id}"
    page = browser.get(path, params=query, headers={"Accept-Language": "de"})
    assert "nicht eingeladen." in extract_text(page)


def test_an_unavailable_provider_is_explained(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    find_provider(alma).put(ObjectId(alma.id), "http://127.0.0.1:9", "matchback", "secret")
    browser.get("/dashboard/sign-in")
    answer = browser.send("/dashboard/sign-in", {"email": ALICE})
    assert answer.status_code == 503
    assert "does not answer" in extract_text(answer)


def test_strangers_cannot_fill_the_audit(
    real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    idp.replies["/.well-known/openid-configuration"] = Reply(500)
    for number in range(10):
        stranger = Browser(real_client)
        stranger.get("/dashboard/sign-in")
        email = f"stranger-{number}@example.edu"
        assert stranger.send("/dashboard/sign-in", {"email": email}).status_code == 503
    assert list_actions(alma) == ["sign-in rejected: provider_unavailable"]
    idp.replies.clear()
    forget_failures()  # as after ten seconds
    for _ in range(3):
        query = idp.authorize(begin(stranger, organization=alma.id))
        assert come_back(stranger, alma, {**query, "code": "made-up"}).status_code == 403
        begun = idp.authorize(begin(stranger, organization=alma.id))
        assert come_back(stranger, alma, {**begun, "error": "access_denied"}).status_code == 403
    rejected = ["sign-in rejected: code_rejected", "sign-in rejected: denied"]
    assert list_actions(alma)[1:] == rejected
    add_staff(alma.id, "ben@example.edu")
    ben = Browser(real_client)
    ben.sign_in("ben@example.edu")
    assert "provider_unavailable" in extract_text(ben.get("/dashboard/settings/sign-on"))


def test_a_password_still_works_unless_single_sign_on_is_required(
    browser: Browser, alma: University, bolt: University
) -> None:
    add_staff(alma.id, ALICE)
    assert browser.sign_in(ALICE).status_code == 303
    Organization.objects(id=alma.id).update(set__requires_single_sign_on=True)
    answer = browser.get("/dashboard/gifts")
    assert answer.headers["location"].endswith(f"organization={alma.id}")
    answer = browser.sign_in(ALICE)
    assert answer.status_code == 422
    wrong = browser.sign_in(ALICE, "an incorrect password")
    assert extract_text(answer) == extract_text(wrong)
    page = browser.get("/dashboard/sign-in", query_string=f"organization={alma.id}")
    assert 'name="password"' not in page.text
    Staff.add(ObjectId(bolt.id), "Alice", ALICE, "viewer")
    assert browser.sign_in(ALICE, STAFF_PASSWORD).status_code == 303
    assert "Bolt University" in extract_text(browser.get("/dashboard/account"))


def test_an_invitation_leads_to_the_required_provider(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    invited = Staff.add(ObjectId(alma.id), "Alice", ALICE, "editor")
    Organization.objects(id=alma.id).update(set__requires_single_sign_on=True)
    secret = SignInLink.make_invitation(invited)
    browser.get("/dashboard/sign-in/link", query_string=f"token={secret}")
    answer = browser.send("/dashboard/sign-in/link", {"token": secret})
    assert answer.headers["location"] == f"/dashboard/sign-in?organization={alma.id}"
    assert "matchback-session" not in browser.cookies
    sign_on(browser, alma, idp)
    assert find_staff(alma).role == "editor"


def test_an_operators_link_opens_an_organization_that_requires_single_sign_on(
    browser: Browser, alma: University
) -> None:
    add_staff(alma.id, ALICE)
    Organization.objects(id=alma.id).update(set__requires_single_sign_on=True)
    secret = SignInLink.make(find_staff(alma))
    browser.get("/dashboard/sign-in/link", query_string=f"token={secret}")
    browser.send("/dashboard/sign-in/link", {"token": secret})
    assert browser.get("/dashboard").status_code == 200
    assert list_actions(alma)[-1] == "POST /dashboard/sign-in/link"


def test_fifty_sign_ins_of_a_new_person_make_one_member(
    real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    browsers = [Browser(real_client) for _ in range(50)]
    # Without an address, because the same one has ten requests a minute.
    queries = [idp.authorize(begin(one, "", organization=alma.id)) for one in browsers]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one, query: come_back(one, alma, query), browsers, queries))
    assert {one.status_code for one in answers} <= {303, 503}  # a few get no place in time
    assert sum(one.status_code == 303 for one in answers) > 0
    assert Staff.live(ObjectId(alma.id)).count() == 1
    assert get_db().accounts.count_documents({"address": ALICE}) == 1


def test_the_providers_tokens_reach_no_page_and_no_record(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    """The access token serves the userinfo endpoint once. MongoDB has only a sealed ID token."""
    made: list[str] = []

    def make(claims: dict[str, Any]) -> str:
        without = {name: one for name, one in claims.items() if name != "email_verified"}
        made.append(idp.sign(without))
        return made[-1]

    idp.make_token, idp.userinfo = make, {"email": ALICE, "email_verified": True}
    answers = [
        sign_on(browser, alma, idp),
        browser.get("/dashboard"),
        browser.get("/dashboard/account"),
    ]
    assert answers[0].status_code == 303
    assert "Bearer opaque" in idp.authorizations
    kept = [row for name in get_db().list_collection_names() for row in get_db()[name].find()]
    seen = [f"{one.headers} {one.cookies} {one.text}" for one in answers]
    for text in (str(kept), *seen):
        assert "opaque" not in text
        assert made[0] not in text


def test_kept_grants_end_a_week_after_the_first_sign_in(
    browser: Browser, alma: University, bolt: University, idp: IdentityProvider
) -> None:
    add_staff(alma.id, ALICE)
    Staff.add(ObjectId(bolt.id), "Alice", ALICE, "viewer")
    browser.sign_in(ALICE)
    begun = now() - timedelta(days=7) + timedelta(hours=1)
    StaffSession.objects.update(set__created_at=begun)
    assert sign_on(browser, alma, idp).status_code == 303
    session = StaffSession.objects.get()
    assert session.created_at == begun
    assert session.expires_at <= begun + timedelta(days=7, seconds=1)
