"""Settings change while Alice, an admin, comes back from the provider with the former ones."""

from typing import Any

import pytest
from bson import ObjectId

from documents.access.account import Account
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.sign_on.admission import admit_person
from documents.sign_on.pending_sign_in import PendingSignIn
from documents.sign_on.sign_on_provider import SignOnProvider
from tests.integration.service.sign_on.conftest import (
    ALICE,
    begin,
    come_back,
    find_provider,
    sign_on,
)
from tools.testbed.cast import University, create_university
from tools.testbed.identity_provider import IdentityProvider
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, extract_text

PATH = "/dashboard/settings/sign-on"


def test_a_sign_in_does_not_prove_settings_that_changed_meanwhile(
    browser: Browser, alma: University, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_staff(alma.id, ALICE)

    def change_before(*given: Any) -> Any:
        find_provider(alma).set_rules(admission="group", group_claim="roles")
        return admit_person(*given)

    with monkeypatch.context() as patch:
        patch.setattr("service.dashboard.pages.sign_on.admit_person", change_before)
        assert sign_on(browser, alma, idp).status_code == 303
    check_nothing_is_proved(browser, alma)


@pytest.mark.parametrize("layout", ["present", "earlier"])
def test_a_sign_in_proves_only_the_settings_with_which_it_began(
    browser: Browser, alma: University, idp: IdentityProvider, layout: str
) -> None:
    """The provider still reports groups, for which later sign-ins do not ask."""
    add_staff(alma.id, ALICE)
    rules = {"admission": "group", "group_roles": {"leads": "admin"}}
    find_provider(alma).set_rules(**rules, scopes=["groups"])
    if layout == "earlier":
        SignOnProvider.objects(id=find_provider(alma).id).update_one(unset__settings_at=True)
    url = begin(browser)
    assert "groups" in url
    find_provider(alma).set_rules(**rules, scopes=[])
    answer = come_back(browser, alma, idp.authorize(url, groups=["leads"]))
    assert answer.status_code == 303
    check_nothing_is_proved(browser, alma)


def test_a_sign_in_that_an_earlier_version_began_counts(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    add_staff(alma.id, ALICE)
    url = begin(browser)
    PendingSignIn.objects.update(unset__settings_at=True)
    assert come_back(browser, alma, idp.authorize(url)).status_code == 303
    browser.get(PATH)
    assert browser.send(f"{PATH}/required", {"required": "1"}).status_code == 303
    assert find_provider(alma).is_locked


def check_nothing_is_proved(browser: Browser, alma: University) -> None:
    assert 'name="required"' not in browser.get(PATH).text
    answer = browser.send(f"{PATH}/required", {"required": "1"})
    assert answer.status_code == 409
    assert "First sign out" in extract_text(answer)
    assert not find_provider(alma).is_locked


def test_a_sign_out_everywhere_during_another_sign_in_keeps_no_grant(
    browser: Browser, alma: University, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alice comes back from the provider, and ends all sessions in another browser."""
    bolt = create_university("Bolt University", alma.api)
    add_staff(alma.id, ALICE)
    member = Staff.add(ObjectId(bolt.id), "Alice", ALICE, "viewer")
    sign_on(browser, alma, idp)  # the provider's ID finds the member from now on
    browser.get("/dashboard/sign-in")
    fields = {"email": ALICE, "password": STAFF_PASSWORD, "organization": bolt.id}
    assert browser.send("/dashboard/sign-in", fields).status_code == 303
    begin_as_before = vars(StaffSession)["begin"].__func__

    def renew_before(kind: type[StaffSession], *given: Any, **more: Any) -> str:
        # The first of the two writes. The second one deletes the sessions.
        Account.objects(id=member.account_id).update_one(inc__epoch=1)
        secret: str = begin_as_before(kind, *given, **more)
        return secret

    with monkeypatch.context() as patch:
        patch.setattr(StaffSession, "begin", classmethod(renew_before))
        sign_on(browser, alma, idp)
    session = StaffSession.current(browser.cookies["matchback-session"])
    is_void = Staff.signed_in(session) is None
    assert is_void or (session and session.find_way(member.id, member.epoch) is None)
