"""Alice signs in through an independent provider, and MongoDB holds what the sign-in needs."""

from collections.abc import Iterator

import httpx
import pytest
from bson import ObjectId
from cryptography.fernet import Fernet
from mongoengine import get_db

from config.settings import get_settings
from documents.sign_on.discovery import forget_metadata
from documents.sign_on.pending_sign_in import PendingSignIn
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.sign_on.signing_keys import forget_signing_keys
from documents.sign_on.used_logout_token import UsedLogoutToken
from documents.values.time import now
from service.sign_on.begin import begin_sign_in
from service.sign_on.finish import SignedOn, SignInAnswer, finish_sign_in
from service.sign_on.provider_sign_out import build_provider_sign_out_url
from tools.testbed.mock_provider import run_mock_provider, sign_in_at_mock

ALICES_UNIVERSITY = ObjectId("a" * 24)
BROWSER = "secret-in-the-cookie-of-alices-browser"
ALICE = {
    "sub": "alice-7",
    "email": "alice@example.edu",
    "email_verified": True,
    "name": "Alice Adams",
    "groups": ["fundraising"],
}
MALLORY = {"sub": "mallory", "email": "dean@example.edu", "email_verified": False}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with run_mock_provider(ALICE, MALLORY) as started:
        yield started


@pytest.fixture
def university(
    issuer: str, real_database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SignOnProvider]:
    monkeypatch.setenv("MATCHBACK_SIGN_ON_PRIVATE_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", Fernet.generate_key().decode())
    get_settings.cache_clear()
    forget_metadata()
    forget_signing_keys()
    stored = SignOnProvider.put(ALICES_UNIVERSITY, issuer, "matchback", "secret")
    stored = stored.set_domains(["example.edu"])
    yield stored.set_rules(admission="group", group_roles={"fundraising": "editor"})
    get_settings.cache_clear()


def finish(answer: httpx.URL) -> SignedOn:
    query = answer.params
    return finish_sign_in(
        ALICES_UNIVERSITY, BROWSER, SignInAnswer(query["state"], query.get("code"))
    )


def test_alice_signs_in_and_out(university: SignOnProvider) -> None:
    answer = sign_in_at_mock(begin_sign_in(university, BROWSER, "/dashboard/gifts"), "alice-7")
    assert answer.path == f"/dashboard/sign-in/sso/{ALICES_UNIVERSITY}"
    assert get_db().pending_sign_ins.count_documents({}) == 1
    signed_on = finish(answer)
    assert signed_on.person.address == "alice@example.edu"
    assert (signed_on.person.subject, signed_on.person.name) == ("alice-7", "Alice Adams")
    assert signed_on.choose_role(None) == "editor"
    assert signed_on.back == "/dashboard/gifts"
    assert get_db().pending_sign_ins.count_documents({}) == 0

    url = build_provider_sign_out_url(university, signed_on.id_token)
    assert url is not None
    assert httpx.get(url).status_code == 200


def test_an_unverified_person_is_rejected(university: SignOnProvider) -> None:
    answer = sign_in_at_mock(begin_sign_in(university, BROWSER), "mallory")
    with pytest.raises(SignOnRejected, match="address_unverified"):
        finish(answer)


def test_an_answer_counts_once(university: SignOnProvider) -> None:
    answer = sign_in_at_mock(begin_sign_in(university, BROWSER), "alice-7")
    finish(answer)
    with pytest.raises(SignOnRejected, match="state_unknown"):
        finish(answer)
    again = sign_in_at_mock(begin_sign_in(university, BROWSER), "alice-7")
    with pytest.raises(SignOnRejected, match="code_rejected"):
        finish(again.copy_set_param("code", answer.params["code"]))


def test_the_database_ends_attempts_and_notes(university: SignOnProvider) -> None:
    for document in (PendingSignIn, UsedLogoutToken):
        indexes = get_db()[document._get_collection_name()].index_information()
        assert indexes["expires_at_1"]["expireAfterSeconds"] == 0
    for _ in range(2):
        UsedLogoutToken.note(ALICES_UNIVERSITY, "token-1", now())
    assert UsedLogoutToken.is_used(ALICES_UNIVERSITY, "token-1")
    assert not UsedLogoutToken.is_used(ObjectId("c" * 24), "token-1")


def test_an_organization_has_one_provider(university: SignOnProvider, issuer: str) -> None:
    SignOnProvider.put(ALICES_UNIVERSITY, issuer, "another", "secret")
    assert get_db().sign_on_providers.count_documents({}) == 1
    assert SignOnProvider.list_for_address("alice@example.edu")[0].client_id == "another"
    plan = get_db().sign_on_providers.find({"domains": "example.edu"}).explain()
    assert "known_domains" in str(plan["queryPlanner"]["winningPlan"])
