"""Ben, an admin, replaces and removes the provider. No one loses the membership or inherits one."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.audit import OpenAct
from documents.access.staff_session import StaffSession
from documents.errors import Conflict, NotFound
from documents.organization import Organization
from documents.sign_on import provider_changes
from documents.sign_on.ended_sessions import end_proofs
from documents.sign_on.pending_sign_in import PendingSignIn
from documents.sign_on.provider_changes import change_provider, remove_provider
from documents.sign_on.requirement import (
    find_current_proof,
    require_single_sign_on,
)
from documents.sign_on.sign_on_provider import SignOnProvider
from service.sign_on.finish import SignedOn
from tests.integration.service.sign_on.conftest import (
    ALICE,
    begin,
    come_back,
    find_provider,
    find_staff,
    set_provider,
    sign_on,
)
from tools.testbed.cast import University, create_university
from tools.testbed.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, extract_text, sign_in_staff

PATH = "/dashboard/settings/sign-on"
BEN = "ben@example.edu"


@pytest.fixture
def ben(real_client: testing.TestClient, alma: University) -> Browser:
    return sign_in_staff(real_client, alma.id, BEN)


def save(ben: Browser, issuer: str, **more: str) -> testing.Result:
    ben.get(PATH)
    fields = {"issuer": issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **more}
    return ben.send(PATH, fields)


def is_signed_in(browser: Browser) -> bool:
    return browser.get("/dashboard").status_code == 200


def fetch(place: University) -> Organization:
    return Organization.named(place.id)


def test_ben_removes_the_provider(
    browser: Browser, ben: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    begin(Browser(browser.client))  # has not come back yet
    assert "also yours" in ben.get(PATH).text
    answer = ben.send(f"{PATH}/remove")
    assert answer.headers["location"] == f"{PATH}?done=removed"
    assert "Provider removed." in extract_text(ben.get(PATH, query_string="done=removed"))
    assert not is_signed_in(browser)
    assert get_db().sign_on_providers.find_one() is None  # with its secret
    assert PendingSignIn.objects.first() is None
    act = OpenAct.objects(action=f"POST {PATH}/remove").first()
    assert (act.outcome, str(act.organization_id)) == (303, alma.id)
    assert find_staff(alma).role == "viewer"
    assert ben.send(f"{PATH}/remove").status_code == 404


def test_a_removed_provider_can_come_back_with_its_people(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    member = find_staff(alma)
    remove_provider(ObjectId(alma.id))
    set_provider(alma, idp)
    sign_on(browser, alma, idp, email="alice.adams@example.edu")
    assert find_staff(alma).id == member.id


def test_a_required_provider_cannot_be_removed(ben: Browser, alma: University) -> None:
    ben.get(PATH)
    Organization.objects(id=alma.id).update(set__requires_single_sign_on=True)
    with pytest.raises(Conflict, match="Accept passwords first"):
        remove_provider(ObjectId(alma.id))
    assert find_provider(alma)


def test_the_last_way_in_cannot_be_removed(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    find_provider(alma).set_rules(admission="group", group_roles={"leads": "admin"})
    sign_on(browser, alma, idp, groups=["leads"])
    browser.get(PATH)
    answer = browser.send(f"{PATH}/remove")
    assert answer.status_code == 409
    assert "the provider is the only way in" in extract_text(answer)
    assert is_signed_in(browser)
    add_staff(alma.id, BEN)
    browser.get(PATH)
    assert browser.send(f"{PATH}/remove").status_code == 303
    assert not is_signed_in(browser)


def test_only_admins_of_the_organization_remove_it(
    real_client: testing.TestClient, alma: University, bolt: University
) -> None:
    for place, role in ((alma, "editor"), (bolt, "admin")):
        other = sign_in_staff(real_client, place.id, f"{role}@example.edu", role)
        other.send(f"{PATH}/remove")
        assert find_provider(alma)
    assert SignOnProvider.of(bolt.id) is None


def test_a_session_that_shows_another_organization_keeps_its_own_grants(
    browser: Browser,
    alma: University,
    bolt: University,
    idp: IdentityProvider,
    other_idp: IdentityProvider,
) -> None:
    set_provider(bolt, other_idp)
    add_staff(alma.id, ALICE)
    sign_on(browser, alma, idp)
    sign_on(browser, bolt, other_idp)
    assert {one.organization_id for one in StaffSession.objects.get().list_proofs()} == {
        ObjectId(alma.id),
        ObjectId(bolt.id),
    }
    remove_provider(ObjectId(alma.id))
    assert "Bolt University" in extract_text(browser.get("/dashboard/account"))
    (proof,) = StaffSession.objects.get().list_proofs()
    assert proof.organization_id == ObjectId(bolt.id)


def test_another_issuer_keeps_the_people_and_inherits_no_subject(
    browser: Browser,
    ben: Browser,
    alma: University,
    idp: IdentityProvider,
    other_idp: IdentityProvider,
    real_client: testing.TestClient,
) -> None:
    sign_on(browser, alma, idp)
    alice = find_staff(alma)
    assert save(ben, other_idp.issuer).headers["location"] == f"{PATH}?done=set"
    assert not is_signed_in(browser)
    assert is_signed_in(ben)
    # The same subject with another address is another person at the new issuer.
    mallory = Browser(real_client)
    sign_on(mallory, alma, other_idp, email="mallory@example.edu")
    assert find_staff(alma, "mallory@example.edu").id != alice.id
    sign_on(browser, alma, other_idp, sub="alice-in-the-new-directory")
    assert find_staff(alma).id == alice.id
    assert find_staff(alma).subject == f"{other_idp.issuer} alice-in-the-new-directory"


def test_another_client_id_keeps_people_whose_ids_it_changes(
    browser: Browser, ben: Browser, alma: University, idp: IdentityProvider
) -> None:
    """Microsoft Entra ID gives a person another ID for each client."""
    sign_on(browser, alma, idp)
    alice = find_staff(alma)
    save(ben, idp.issuer, client_id="another-client")
    assert is_signed_in(browser)
    idp.client_id = "another-client"
    assert sign_on(browser, alma, idp, sub="alice-for-the-other-client").status_code == 303
    assert find_staff(alma).id == alice.id
    # From then on, a new owner of the address is rejected again.
    assert sign_on(browser, alma, idp, sub="another-alice").status_code == 403


def test_a_new_secret_ends_nothing(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    find_provider(alma).set_rules(admission="group", group_roles={"leads": "admin"})
    sign_on(browser, alma, idp, groups=["leads"])
    idp.client_secret = "a-new-secret"
    assert save(browser, idp.issuer, client_secret="a-new-secret").status_code == 303
    assert is_signed_in(browser)
    assert sign_on(browser, alma, idp, groups=["leads"]).status_code == 303


def test_domains_and_rules_stay_with_another_client(alma: University) -> None:
    change_provider(fetch(alma), "https://idp.example.edu", "other", "secret")
    stored = find_provider(alma)
    assert (stored.domains, stored.admission) == (["example.edu"], "domain")


def test_a_person_who_comes_back_during_the_removal_is_not_let_in(
    browser: Browser, alma: University, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = SignedOn.is_provider_current
    query = idp.authorize(begin(browser))

    def remove_before(self: SignedOn) -> bool:
        remove_provider(self.organization_id)
        return check(self)

    monkeypatch.setattr(SignedOn, "is_provider_current", remove_before)
    assert come_back(browser, alma, query).status_code == 403
    assert StaffSession.objects.count() == 0


def test_a_requirement_and_a_removal_at_once_lock_no_one_out(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    known = find_provider(alma)
    proof = find_current_proof(known)
    remove_provider(ObjectId(alma.id))
    with pytest.raises(NotFound):
        require_single_sign_on(fetch(alma), known, proof)
    assert not fetch(alma).requires_single_sign_on


def test_a_repeated_change_ends_what_an_interrupted_one_left(
    browser: Browser, alma: University, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_on(browser, alma, idp)
    new = ("https://other.example.edu", "matchback", "secret")

    def die(*given: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(provider_changes, "end_proofs", die)
        with pytest.raises(KeyboardInterrupt):
            change_provider(fetch(alma), *new)
    assert StaffSession.objects.count() == 1
    change_provider(fetch(alma), *new)
    assert StaffSession.objects.count() == 0


def test_a_logout_during_another_sign_in_ends_the_kept_grant(
    browser: Browser, alma: University, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ben signs in to Bolt in the browser whose session at Alma the provider just ends."""
    bolt = create_university("Bolt University", alma.api)
    member = add_staff(bolt.id, ALICE)
    sign_on(browser, alma, idp)
    begin_as_before = vars(StaffSession)["begin"].__func__

    def end_before(kind: type[StaffSession], *given: Any, **more: Any) -> str:
        end_proofs(ObjectId(alma.id))  # the request has read the previous session already
        secret: str = begin_as_before(kind, *given, **more)
        return secret

    monkeypatch.setattr(StaffSession, "begin", classmethod(end_before))
    browser.get("/dashboard/sign-in", query_string=f"organization={bolt.id}")
    fields = {"email": ALICE, "password": STAFF_PASSWORD, "organization": bolt.id}
    assert browser.send("/dashboard/sign-in", fields).status_code == 303
    session = StaffSession.objects.get()
    assert [one.staff_id for one in session.grants] == [member.id]
