"""Alma University requires single sign-on. No change of its settings can lock everyone out."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from pymongo.errors import PyMongoError

from documents.access.staff_session import SignInLink
from documents.errors import Conflict
from documents.organization import Organization
from documents.sign_on import requirement
from documents.sign_on.requirement import (
    find_current_proof,
    require_single_sign_on,
    stop_requiring_single_sign_on,
)
from documents.sign_on.sign_on_provider import SignOnProvider
from tests.integration.service.sign_on.conftest import (
    ALICE,
    begin,
    come_back,
    find_provider,
    find_staff,
    list_actions,
    read_leaving_url,
    sign_on,
)
from tools.testbed.cast import University
from tools.testbed.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider
from tools.testbed.pages import Browser, add_staff, extract_text

PATH = "/dashboard/settings/sign-on"
RULES = {"admission": "domain", "default_role": "viewer", "group_claim": "groups"}
GROUP_RULES = {**RULES, "admission": "group", "admin_groups": "leads"}
GROUPS = ["staff", "leads"]


@pytest.fixture
def alice(browser: Browser, alma: University, idp: IdentityProvider) -> Browser:
    """Alice and Ben are admins. She has required single sign-on."""
    add_staff(alma.id, ALICE)
    add_staff(alma.id, "ben@example.edu")
    sign_on(browser, alma, idp)
    browser.get(PATH)
    assert browser.send(f"{PATH}/required", {"required": "1"}).status_code == 303
    browser.get(PATH)
    return browser


def propose(alice: Browser, rules: dict[str, str]) -> None:
    assert alice.send(f"{PATH}/rules", rules).headers["location"] == f"{PATH}?done=waits"
    assert "New settings wait for a sign-in" in extract_text(alice.get(PATH))


def propose_secret(alice: Browser, idp: IdentityProvider, secret: str) -> None:
    fields = {"issuer": idp.issuer, "client_id": CLIENT_ID, "client_secret": secret}
    assert alice.send(PATH, fields).headers["location"] == f"{PATH}?done=waits"
    alice.get(PATH)


def begin_trial(alice: Browser) -> str:
    return read_leaving_url(alice.send(f"{PATH}/trial"))


def confirm(
    alice: Browser, alma: University, idp: IdentityProvider, **claims: Any
) -> testing.Result:
    """Sign in with the settings that wait."""
    return come_back(alice, alma, idp.authorize(begin_trial(alice), **claims))


def can_sign_in(client: testing.TestClient, alma: University, idp: IdentityProvider) -> bool:
    return sign_on(Browser(client), alma, idp, groups=GROUPS).status_code == 303


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({**GROUP_RULES, "group_claim": "roles"}, "groups_missing"),
        ({**GROUP_RULES, "admin_groups": ""}, "no_group"),
        ({**GROUP_RULES, "admin_groups": "Leads"}, "no_group"),
        ({**GROUP_RULES, "admin_groups": "", "editor_groups": "leads"}, "draft_not_admin"),
        ({**GROUP_RULES, "admin_groups": "other", "viewer_groups": "staff"}, "draft_not_admin"),
    ],
)
def test_rules_that_would_lock_the_admin_out_never_take_effect(
    alice: Browser,
    real_client: testing.TestClient,
    alma: University,
    idp: IdentityProvider,
    rules: dict[str, str],
    reason: str,
) -> None:
    before = find_provider(alma).policy
    propose(alice, rules)
    assert can_sign_in(real_client, alma, idp)
    answer = confirm(alice, alma, idp, groups=GROUPS)
    assert answer.status_code == 403
    assert reason in answer.text
    assert find_provider(alma).policy == before
    assert find_staff(alma).role == "admin"
    assert can_sign_in(real_client, alma, idp)
    assert alice.get(PATH).status_code == 200
    assert alice.send(f"{PATH}/trial", {"discard": "1"}).headers["location"].endswith("discarded")
    assert "New settings wait" not in extract_text(alice.get(PATH))
    assert find_provider(alma).draft_id is None


def test_rules_take_effect_when_the_admin_signs_in_with_them(
    alice: Browser, real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    propose(alice, {**GROUP_RULES, "provider_scopes": "groups"})
    url = begin_trial(alice)
    assert "groups" in url
    answer = come_back(alice, alma, idp.authorize(url, groups=GROUPS))
    assert answer.headers["location"] == f"{PATH}?done=adopted"
    assert find_provider(alma).policy.group_roles == {"leads": "admin"}
    assert find_provider(alma).draft_id is None
    assert "settings took effect" in list_actions(alma)
    assert find_staff(alma).role == "admin"
    page = extract_text(alice.get(PATH, query_string="done=adopted"))
    assert "The new settings work" in page
    assert can_sign_in(real_client, alma, idp)
    assert sign_on(Browser(real_client), alma, idp, groups=["staff"]).status_code == 403
    for required in ("", "1"):  # the session has proved the new settings
        alice.get(PATH)
        assert alice.send(f"{PATH}/required", {"required": required}).status_code == 303


def test_the_present_rules_need_no_sign_in(alice: Browser, alma: University) -> None:
    answer = alice.send(f"{PATH}/rules", {**RULES, "ends_sessions": ""})
    assert answer.headers["location"] == f"{PATH}?done=rules"
    assert find_provider(alma).ends_sessions is False


def test_a_wrong_secret_never_takes_effect(
    alice: Browser, real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    propose_secret(alice, idp, "a-wrong-secret")
    answer = confirm(alice, alma, idp)
    assert answer.status_code == 403
    assert "client_rejected" in answer.text
    assert find_provider(alma).open_secret() == CLIENT_SECRET
    assert can_sign_in(real_client, alma, idp)


def test_a_new_secret_replaces_one_that_has_expired(
    alice: Browser, real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    idp.client_secret = "a-new-secret"
    assert not can_sign_in(real_client, alma, idp)
    propose_secret(alice, idp, "a-new-secret")
    assert not can_sign_in(real_client, alma, idp)
    assert confirm(alice, alma, idp).status_code == 303
    assert find_provider(alma).open_secret() == "a-new-secret"
    assert can_sign_in(real_client, alma, idp)


def test_a_person_who_is_no_admin_confirms_nothing(
    alice: Browser, alma: University, idp: IdentityProvider
) -> None:
    propose(alice, {**RULES, "default_role": "admin"})
    answer = confirm(alice, alma, idp, sub="eve", email="eve@example.edu")
    assert answer.status_code == 403
    assert find_provider(alma).default_role == "viewer"


def test_settings_that_change_during_the_trial_stay_out_of_effect(
    alice: Browser, alma: University, idp: IdentityProvider
) -> None:
    propose(alice, GROUP_RULES)
    url = begin_trial(alice)
    alice.get(PATH)
    propose(alice, {**GROUP_RULES, "admin_groups": "others"})
    answer = come_back(alice, alma, idp.authorize(url, groups=GROUPS))
    assert answer.status_code == 403
    assert "provider_changed" in answer.text
    assert find_provider(alma).admission == "domain"


def test_no_change_crosses_the_beginning_of_the_requirement(
    alice: Browser, alma: University, idp: IdentityProvider
) -> None:
    """A request that read the organization before the requirement stores nothing."""
    with pytest.raises(Conflict):
        find_provider(alma).set_rules(admission="group")
    with pytest.raises(Conflict):
        SignOnProvider.put(ObjectId(alma.id), idp.issuer, CLIENT_ID, "another-secret")


def test_the_end_of_the_requirement_allows_every_change(
    alice: Browser, alma: University, idp: IdentityProvider
) -> None:
    propose(alice, GROUP_RULES)
    assert alice.send(f"{PATH}/required").headers["location"].endswith("optional")
    assert find_provider(alma).draft_id is None
    alice.get(PATH)
    assert alice.send(f"{PATH}/rules", GROUP_RULES).headers["location"].endswith("=rules")
    assert find_provider(alma).admission == "group"


def test_the_operators_link_helps_the_last_admin_whom_the_provider_admits_no_longer(
    alice: Browser, real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    propose(alice, GROUP_RULES)
    assert confirm(alice, alma, idp, groups=GROUPS).status_code == 303
    sign_on(Browser(real_client), alma, idp, groups=["staff"])  # the group is renamed there
    locked_out = Browser(real_client)
    assert sign_on(locked_out, alma, idp, groups=["chiefs"]).status_code == 403
    assert locked_out.sign_in(ALICE).status_code == 422
    secret = SignInLink.make(find_staff(alma))  # `matchback staff link`
    locked_out.get("/dashboard/sign-in/link", query_string=f"token={secret}")
    locked_out.send("/dashboard/sign-in/link", {"token": secret})
    locked_out.get(PATH)
    propose(locked_out, {**GROUP_RULES, "admin_groups": "chiefs"})
    assert confirm(locked_out, alma, idp, groups=["chiefs"]).status_code == 303
    assert Organization.objects.get(id=alma.id).requires_single_sign_on
    fresh = Browser(real_client)
    assert (
        come_back(
            fresh, alma, idp.authorize(begin(fresh, organization=alma.id), groups=["chiefs"])
        ).status_code
        == 303
    )


def test_a_crash_between_the_writes_leaves_no_half_of_a_requirement(
    browser: Browser, alma: University, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alice, an admin with a password, changes the provider afterwards as before."""
    add_staff(alma.id, ALICE)
    sign_on(browser, alma, idp)
    fetch = partial(Organization.named, alma.id)
    known = find_provider(alma)
    proof = find_current_proof(known)

    def die(*given: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(requirement, "_mark_organization", die)
        with pytest.raises(KeyboardInterrupt):
            require_single_sign_on(fetch(), known, proof)
    assert not find_provider(alma).is_locked
    assert not fetch().requires_single_sign_on
    require_single_sign_on(fetch(), known, proof)
    with monkeypatch.context() as patch:
        patch.setattr(requirement, "_mark_organization", die)
        with pytest.raises(KeyboardInterrupt):
            stop_requiring_single_sign_on(fetch())
    assert find_provider(alma).is_locked
    assert fetch().requires_single_sign_on


@pytest.mark.parametrize(("first", "second"), [("require", "accept"), ("accept", "require")])
def test_opposite_requests_at_once_leave_both_records_equal(
    browser: Browser,
    alma: University,
    idp: IdentityProvider,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
    second: str,
) -> None:
    """The second request arrives between the two writes of the first one."""
    add_staff(alma.id, ALICE)
    sign_on(browser, alma, idp)
    fetch = partial(Organization.named, alma.id)
    known = find_provider(alma)
    acts = {
        "require": partial(require_single_sign_on, fetch(), known, find_current_proof(known)),
        "accept": partial(stop_requiring_single_sign_on, fetch()),
    }
    acts[second]()
    with ThreadPoolExecutor(1) as pool:
        interrupt_once(monkeypatch, lambda: pool.submit(acts[second]))
        acts[first]()
    assert find_provider(alma).is_locked is (second == "require")
    assert fetch().requires_single_sign_on is (second == "require")


def interrupt_once(patch: pytest.MonkeyPatch, start: Callable[[], Future[None]]) -> None:
    """Start an act before the next write to an organization. Wait until it ends or conflicts."""
    has_met, started = Event(), list[Future[None]]()
    change, mark = vars(requirement)["_change_provider"], vars(requirement)["_mark_organization"]

    def note_conflict(*given: Any, **more: Any) -> None:
        try:
            change(*given, **more)
        except PyMongoError:
            has_met.set()
            raise

    def interrupt(*given: Any, **more: Any) -> None:
        if not started:
            started.append(start())
            started[0].add_done_callback(lambda _: has_met.set())
            assert has_met.wait(30)
        mark(*given, **more)

    patch.setattr(requirement, "_change_provider", note_conflict)
    patch.setattr(requirement, "_mark_organization", interrupt)


def test_an_admin_ends_what_a_crash_of_an_earlier_build_left(
    browser: Browser, alma: University
) -> None:
    SignOnProvider.objects(organization_id=alma.id).update(set__is_locked=True)
    add_staff(alma.id, ALICE)
    browser.sign_in(ALICE)
    assert "Accept passwords again" in browser.get(PATH).text
    assert browser.send(f"{PATH}/required").status_code == 303
    assert not find_provider(alma).is_locked


def test_of_trials_at_once_one_takes_effect(
    alice: Browser, real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    propose(alice, GROUP_RULES)
    admins = [alice]
    for _ in range(7):
        admins.append(Browser(real_client))
        assert sign_on(admins[-1], alma, idp).status_code == 303
        admins[-1].get(PATH)
    queries = [idp.authorize(begin_trial(one), groups=GROUPS) for one in admins]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda one: come_back(one[0], alma, one[1]), zip(admins, queries, strict=True))
        )
    statuses = [one.status_code for one in answers]
    assert statuses.count(303) == 1
    assert set(statuses) <= {303, 403, 503}  # the provider is busy
    assert list_actions(alma).count("settings took effect") == 1
    assert find_provider(alma).admission == "group"
    assert all(one.get(PATH).status_code == 200 for one in admins)  # a rejected trial ends nothing
