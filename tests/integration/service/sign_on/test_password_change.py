"""Alice chooses a password in a session that her university's provider began."""

from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing

from documents.access.members import end_member_sessions
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.values.time import now
from tests.integration.service.sign_on.conftest import ALICE, find_staff, sign_on
from tests.integration.service.sign_on.test_sign_out import build_logout, is_signed_in, post_logout
from tools.testbed.cast import University
from tools.testbed.identity_provider import IdentityProvider
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff

PASSWORD = "seven quiet herons wading"


@pytest.fixture
def signed_on(
    browser: Browser,
    alma: University,
    bolt: University,
    idp: IdentityProvider,
    other_idp: IdentityProvider,
) -> Browser:
    """Sign a browser in through both providers. It shows Alma."""
    for place in (alma, bolt):
        Staff.add(ObjectId(place.id), "Alice", ALICE, "viewer")
    sign_on(browser, bolt, other_idp, sub="alice-at-bolt")
    sign_on(browser, alma, idp)
    return browser


def choose(browser: Browser, **fields: str) -> testing.Result:
    answer = browser.send("/dashboard/account", {"password": PASSWORD, **fields})
    browser.get("/dashboard/account")
    return answer


def open_place(browser: Browser, place: University) -> bool:
    """Return whether the browser shows an organization without another sign-in."""
    answer = browser.send("/dashboard/organization", {"organization": place.id})
    browser.get("/dashboard/account")
    return bool(answer.headers.get("location") == "/dashboard")


def test_a_password_change_neither_prolongs_nor_drops_what_providers_granted(
    signed_on: Browser, alma: University, bolt: University
) -> None:
    begun = now() - timedelta(days=7) + timedelta(hours=1)
    StaffSession.objects.update(set__created_at=begun)
    before = StaffSession.objects.get()
    for fields in ({}, {"current": PASSWORD}):
        assert choose(signed_on, **fields).headers["location"].endswith("done=changed")
        session = StaffSession.objects.get()
        assert session.id != before.id
        assert session.created_at == begun
        assert session.expires_at <= begun + timedelta(days=7, seconds=1)
        proofs = {str(one.to_mongo()) for one in session.list_proofs()}
        assert proofs == {str(one.to_mongo()) for one in before.list_proofs()}
    assert open_place(signed_on, bolt)
    assert open_place(signed_on, alma)


def test_a_password_for_all_organizations_keeps_the_grants_too(
    browser: Browser, alma: University, bolt: University, idp: IdentityProvider
) -> None:
    add_staff(bolt.id, ALICE)
    Staff.add(ObjectId(alma.id), "Alice", ALICE, "viewer")
    browser.sign_in(ALICE)
    sign_on(browser, alma, idp)
    begun = StaffSession.objects.get().created_at
    choose(browser, current=STAFF_PASSWORD)
    session = StaffSession.objects.get()
    assert session.created_at == begun
    ways = [session.find_way(one.id, one.epoch) for one in map(find_staff, (alma, bolt))]
    assert ways == ["single sign-on", "password"]
    assert open_place(browser, bolt)
    choose(browser, current=PASSWORD)  # in a session by password
    session = StaffSession.objects.get()
    assert session.created_at == begun
    assert [one.identity for one in session.list_proofs()] == [
        f"{idp.issuer} alice-at-the-provider"
    ]


def test_a_password_change_restores_no_grant_that_an_admin_ended(
    signed_on: Browser, alma: University, bolt: University
) -> None:
    end_member_sessions(find_staff(bolt))
    choose(signed_on)
    assert is_signed_in(signed_on)
    assert not open_place(signed_on, bolt)


def test_a_logout_at_the_provider_during_the_change_signs_out(
    signed_on: Browser,
    real_client: testing.TestClient,
    alma: University,
    idp: IdentityProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change = Staff.set_password

    def log_out_meanwhile(self: Staff, *args: Any, **more: Any) -> Staff:
        changed = change(self, *args, **more)
        assert post_logout(real_client, alma, build_logout(idp)).status_code == 200
        return changed

    monkeypatch.setattr(Staff, "set_password", log_out_meanwhile)
    answer = choose(signed_on)
    assert answer.headers["location"] == "/dashboard/sign-in?done=password"
    assert not is_signed_in(signed_on)
    assert StaffSession.objects.count() == 0
    assert find_staff(alma).has_password(PASSWORD)


def test_a_limited_password_ends_the_other_sessions_in_each_organization_that_it_opens(
    signed_on: Browser,
    real_client: testing.TestClient,
    alma: University,
    bolt: University,
    idp: IdentityProvider,
    other_idp: IdentityProvider,
) -> None:
    other = Browser(real_client)
    sign_on(other, bolt, other_idp, sub="alice-at-bolt")
    sign_on(other, alma, idp)
    session = StaffSession.current(other.cookies["matchback-session"])
    assert session
    for one in map(find_staff, (alma, bolt)):
        assert session.find_way(one.id, one.epoch)
    choose(signed_on)
    for one in map(find_staff, (alma, bolt)):
        assert session.find_way(one.id, one.epoch) is None
    assert not is_signed_in(other)
