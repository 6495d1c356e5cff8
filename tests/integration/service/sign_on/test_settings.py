"""Ben, an admin, connects the university's provider on the settings page."""

import pytest
from bson import ObjectId
from falcon import testing

from config.settings import get_settings
from documents.sign_on.sign_on_provider import SignOnProvider
from tests.integration.service.sign_on.conftest import find_provider, list_actions
from tools.testbed.cast import Api, University, create_university
from tools.testbed.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, Reply
from tools.testbed.pages import Browser, extract_text, sign_in_staff

PATH = "/dashboard/settings/sign-on"


@pytest.fixture
def cole(real_client: testing.TestClient) -> University:
    return create_university("Cole University", Api.in_process(real_client))


@pytest.fixture
def ben(real_client: testing.TestClient, cole: University) -> Browser:
    ben = sign_in_staff(real_client, cole.id, "ben@cole.example.edu")
    ben.get(PATH)
    return ben


def connect(ben: Browser, issuer: str, **more: str) -> testing.Result:
    fields = {"issuer": issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **more}
    return ben.send(PATH, fields)


def test_an_admin_connects_and_checks_a_provider(
    ben: Browser, cole: University, idp: IdentityProvider
) -> None:
    assert f"/dashboard/sign-in/sso/{cole.id}" in ben.get(PATH).text
    assert connect(ben, idp.issuer).headers["location"] == f"{PATH}?done=set"
    page = ben.get(PATH)
    assert CLIENT_SECRET not in page.text
    assert "No domains are verified yet" in extract_text(page)
    assert find_provider(cole).open_secret() == CLIENT_SECRET
    assert ben.send(f"{PATH}/check").headers["location"] == f"{PATH}?done=checked"
    assert list_actions(cole)[-2:] == [f"POST {PATH}", f"POST {PATH}/check"]


def test_a_check_explains_what_is_wrong(ben: Browser, idp: IdentityProvider) -> None:
    connect(ben, idp.issuer)
    ben.get(PATH)
    idp.metadata["issuer"] = f"{idp.issuer}/"
    answer = ben.send(f"{PATH}/check")
    assert answer.status_code == 422
    assert "names another issuer than the settings" in extract_text(answer)
    idp.replies["/.well-known/openid-configuration"] = Reply(503)
    assert "does not answer" in extract_text(ben.send(f"{PATH}/check"))


def test_an_admin_sets_the_rules(ben: Browser, cole: University, idp: IdentityProvider) -> None:
    connect(ben, idp.issuer)
    ben.get(PATH)
    rules = {
        "admission": "group",
        "default_role": "editor",
        "group_claim": "roles",
        "admin_groups": "cn=leads,ou=staff",
        "editor_groups": "Fund raising\r\n\r\nannual fund\r\n",
        "provider_scopes": "groups roles",
        "accepts_missing_verification": "1",
    }
    assert ben.send(f"{PATH}/rules", rules).headers["location"] == f"{PATH}?done=rules"
    stored = find_provider(cole)
    assert stored.policy.group_roles == {
        "cn=leads,ou=staff": "admin",
        "Fund raising": "editor",
        "annual fund": "editor",
    }
    assert stored.scopes == ["groups", "roles"]
    assert stored.accepts_missing_verification
    assert not stored.ends_sessions
    page = ben.get(PATH).text
    assert "cn=leads,ou=staff" in page
    assert 'value="groups roles"' in page


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"admission": "everyone"}, "Choose who may sign in."),
        ({"admin_groups": "a", "viewer_groups": "a"}, "each for one role"),
        ({"group_claim": ""}, "Enter the name of the claim"),
        ({"provider_scopes": 'a"b'}, "names of scopes"),
        ({"default_role": "owner"}, "Choose a role for new people."),
    ],
)
def test_a_wrong_rule_changes_nothing(
    ben: Browser, cole: University, idp: IdentityProvider, wrong: dict[str, str], text: str
) -> None:
    connect(ben, idp.issuer)
    ben.get(PATH)
    right = {"admission": "domain", "default_role": "viewer", "group_claim": "groups"}
    answer = ben.send(f"{PATH}/rules", {**right, **wrong})
    assert answer.status_code == 422
    assert text in extract_text(answer)
    assert find_provider(cole).admission == "invited"


@pytest.mark.parametrize("issuer", ["http://idp.example.edu", "nonsense", "https://10.0.0.5", ""])
def test_a_wrong_issuer_is_rejected(ben: Browser, cole: University, issuer: str) -> None:
    answer = connect(ben, issuer)
    assert answer.status_code == 422
    assert "Enter the issuer" in extract_text(answer)
    assert SignOnProvider.of(ObjectId(cole.id)) is None


def test_forms_without_a_provider_are_404(ben: Browser) -> None:
    for action in ("rules", "check", "required"):
        token = ben.token
        assert ben.send(f"{PATH}/{action}", {"required": "1"}).status_code == 404
        ben.token = token


def test_a_secret_needs_the_master_key(
    ben: Browser, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MATCHBACK_MASTER_KEYS")
    get_settings.cache_clear()
    answer = connect(ben, idp.issuer)
    assert answer.status_code == 503
    assert "master key is missing" in extract_text(answer)
