"""Ben connects another provider. Proofs of the former one no longer count."""

from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.staff import Staff
from documents.access.staff_session import MAX_SESSION_LIFETIME, StaffSession
from documents.sign_on.provider_changes import remove_provider
from documents.values.time import now
from tests.integration.service.sign_on.conftest import (
    ALICE,
    begin,
    come_back,
    find_provider,
    find_staff,
    set_provider,
    sign_on,
)
from tools.testbed.cast import University
from tools.testbed.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider
from tools.testbed.pages import Browser, add_staff, sign_in_staff

PATH = "/dashboard/settings/sign-on"


@pytest.fixture
def ben(real_client: testing.TestClient, alma: University) -> Browser:
    ben = sign_in_staff(real_client, alma.id, "ben@example.edu")
    ben.get(PATH)
    return ben


def connect(admin: Browser, issuer: str) -> None:
    fields = {"issuer": issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert admin.send(PATH, fields).status_code == 303


def is_open(browser: Browser) -> bool:
    return browser.get("/dashboard").status_code == 200


def test_sessions_of_the_former_provider_end(
    ben: Browser,
    browser: Browser,
    alma: University,
    idp: IdentityProvider,
    other_idp: IdentityProvider,
) -> None:
    sign_on(browser, alma, idp)
    connect(ben, idp.issuer)  # the same again
    assert is_open(browser)
    ben.get(PATH)
    connect(ben, other_idp.issuer)
    assert not is_open(browser)
    assert is_open(ben)
    sign_on(browser, alma, other_idp)
    assert is_open(browser)


def test_a_session_that_shows_another_organization_loses_the_grant_only(
    ben: Browser,
    browser: Browser,
    alma: University,
    bolt: University,
    idp: IdentityProvider,
    other_idp: IdentityProvider,
) -> None:
    add_staff(bolt.id, ALICE)
    Staff.add(ObjectId(alma.id), "Alice", ALICE, "viewer")
    sign_on(browser, alma, idp)
    sign_on(browser, bolt, other_idp, email=ALICE)
    connect(ben, other_idp.issuer)
    assert is_open(browser)
    answer = browser.send("/dashboard/organization", {"organization": alma.id})
    assert answer.status_code == 404


def test_the_admin_who_changes_the_provider_can_correct_it(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    add_staff(alma.id, ALICE)
    sign_on(browser, alma, idp)
    browser.get(PATH)
    connect(browser, "https://idp.example.com")
    assert is_open(browser)
    browser.get(PATH)
    connect(browser, idp.issuer)


def test_a_change_overtakes_the_answer_of_the_former_provider(
    ben: Browser, browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    def sign_after_change(claims: dict[str, Any]) -> str:
        connect(ben, "https://idp.example.com")
        return idp.sign(claims)

    query = idp.authorize(begin(browser))
    idp.make_token = sign_after_change
    assert come_back(browser, alma, query).status_code == 403
    assert not is_open(browser)
    assert find_provider(alma).issuer == "https://idp.example.com"


def test_kept_grants_do_not_outlive_a_week(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    old = now() - MAX_SESSION_LIFETIME + timedelta(hours=1)
    get_db().staff_sessions.update_one({}, {"$set": {"created_at": old}})
    sign_on(browser, alma, idp)
    session = StaffSession.current(browser.cookies["matchback-session"])
    assert session
    assert session.staff_id == find_staff(alma).id
    assert session.expires_at - now() < timedelta(hours=1, seconds=1)


def test_a_provider_that_was_set_again_overtakes_the_answer_of_the_removed_one(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    """The admin removes the provider, and sets it again for invited people only."""

    def sign_after_change(claims: dict[str, Any]) -> str:
        remove_provider(ObjectId(alma.id))
        set_provider(alma, idp, admission="invited")
        return idp.sign(claims)

    query = idp.authorize(begin(browser))
    idp.make_token = sign_after_change
    assert come_back(browser, alma, query).status_code == 403
    assert not is_open(browser)
