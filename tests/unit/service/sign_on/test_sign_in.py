"""Alice signs in at her university's provider. Each attempt counts once, in her own browser."""

import threading
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from bson import ObjectId
from mongoengine import get_db

from documents.sign_on import pending_sign_in
from documents.sign_on.discovery import forget_metadata
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.values.time import now
from service.sign_on.begin import begin_sign_in
from service.sign_on.finish import SignedOn, SignInAnswer, finish_sign_in
from tests.unit.service.sign_on.conftest import ALICES_UNIVERSITY, BROWSER, find_reason, finish
from tools.testbed.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider

SignIn = Callable[..., SignedOn]
CHARLIES_UNIVERSITY = ObjectId("c" * 24)


def test_alice_signs_in(university: SignOnProvider, idp: IdentityProvider) -> None:
    url = begin_sign_in(
        university, BROWSER, back="/dashboard/gifts", login_hint="alice@example.edu"
    )
    query = dict(parse_qsl(urlsplit(url).query))
    assert url.startswith(f"{idp.issuer}/authorize?")
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert query["scope"] == "openid email profile"
    assert query["redirect_uri"].endswith(f"/dashboard/sign-in/sso/{ALICES_UNIVERSITY}")
    assert query["login_hint"] == "alice@example.edu"

    signed_on = finish(idp.authorize(url, sid="session-7"))
    assert signed_on.person.subject == "alice-at-the-provider"
    assert signed_on.person.address == "alice@example.edu"
    assert signed_on.person.name == "Alice Adams"
    assert (signed_on.back, signed_on.session_id) == ("/dashboard/gifts", "session-7")
    assert signed_on.choose_role(None) == "viewer"
    assert signed_on.choose_role("admin") == "admin"


def test_only_the_needed_scopes_are_requested(university: SignOnProvider) -> None:
    university.set_rules(admission="domain", scopes=["groups", "email"])
    query = dict(parse_qsl(urlsplit(begin_sign_in(university, BROWSER)).query))
    assert query["scope"] == "openid email profile groups"
    assert set(query) == {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    }


def test_the_secret_of_an_attempt_is_not_stored(university: SignOnProvider) -> None:
    query = dict(parse_qsl(urlsplit(begin_sign_in(university, BROWSER)).query))
    stored = str(list(get_db().pending_sign_ins.find()))
    assert query["state"] not in stored
    assert query["nonce"] not in stored
    assert BROWSER not in stored
    # The state passes through URLs and logs. It must not give the verifier without the cookie.
    secrets = pending_sign_in.derive_secrets(BROWSER, query["state"])
    assert secrets != pending_sign_in.derive_secrets("another browser", query["state"])
    assert len({secrets.state, secrets.nonce, secrets.verifier}) == 3


@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post"]])
def test_the_client_proves_itself_as_the_provider_wants(
    methods: list[str] | None, sign_in: SignIn, idp: IdentityProvider
) -> None:
    if methods:
        idp.metadata["token_endpoint_auth_methods_supported"] = methods
    sign_in()
    sent = idp.authorizations[idp.requests.index(("POST", "/token"))]
    assert sent.startswith("Basic ") != (methods == ["client_secret_post"])


def test_a_replayed_state_is_rejected(university: SignOnProvider, idp: IdentityProvider) -> None:
    query = idp.authorize(begin_sign_in(university, BROWSER))
    finish(query)
    before = len(idp.requests)
    assert find_reason(lambda: finish(query)) == "state_unknown"
    assert len(idp.requests) == before


def test_of_two_answers_at_once_one_counts(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    query = idp.authorize(begin_sign_in(university, BROWSER))
    idp.accepts_codes_again = True
    finished: list[str] = []

    def run() -> None:
        try:
            finish(query)
        except SignOnRejected as error:
            finished.append(str(error))
        else:
            finished.append("signed in")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(finished) == ["signed in", "state_unknown", "state_unknown", "state_unknown"]


def test_a_state_of_another_browser_is_rejected(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    query = idp.authorize(begin_sign_in(university, "the attacker's browser"))
    before = len(idp.requests)
    assert find_reason(lambda: finish(query)) == "state_unknown"
    assert len(idp.requests) == before
    finish(query, "the attacker's browser")  # Alice's browser did not use the state up


@pytest.mark.parametrize("state", ["", "unknown", "x" * 100_000, "\ud800"])
def test_an_unknown_state_is_rejected(state: str, university: SignOnProvider) -> None:
    assert find_reason(lambda: finish({"state": state, "code": "x"})) == "state_unknown"


def test_a_state_ends_after_ten_minutes(
    university: SignOnProvider, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, late = (idp.authorize(begin_sign_in(university, BROWSER)) for _ in range(2))
    begun = now()
    monkeypatch.setattr(pending_sign_in, "now", lambda: begun + timedelta(minutes=9))
    finish(early)
    monkeypatch.setattr(pending_sign_in, "now", lambda: begun + timedelta(minutes=11))
    assert find_reason(lambda: finish(late)) == "state_unknown"


def test_a_state_of_another_organization_is_rejected(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    """An organization with a hostile provider receives the answer of Alice's provider."""
    SignOnProvider.put(CHARLIES_UNIVERSITY, idp.issuer, CLIENT_ID, CLIENT_SECRET)
    query = idp.authorize(begin_sign_in(university, BROWSER))
    answer = SignInAnswer(query["state"], query["code"])
    reason = find_reason(lambda: finish_sign_in(CHARLIES_UNIVERSITY, BROWSER, answer))
    assert reason == "state_unknown"


@pytest.mark.parametrize("issuer", ["https://evil.example.com", "{}/", "", "HTTP://127.0.0.1"])
def test_an_answer_of_another_issuer_is_rejected(
    issuer: str, university: SignOnProvider, idp: IdentityProvider
) -> None:
    query = idp.authorize(begin_sign_in(university, BROWSER)) | {"iss": issuer.format(idp.issuer)}
    before = len(idp.requests)
    assert find_reason(lambda: finish(query)) == "issuer_mixed_up"
    assert len(idp.requests) == before


def test_an_announced_issuer_must_be_present(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    idp.metadata["authorization_response_iss_parameter_supported"] = True
    query = idp.authorize(begin_sign_in(university, BROWSER))
    assert find_reason(lambda: finish(query)) == "issuer_mixed_up"
    query = idp.authorize(begin_sign_in(university, BROWSER))
    finish(query | {"iss": idp.issuer})


@pytest.mark.parametrize("error", ["access_denied", "login_required", "<script>"])
def test_an_error_of_the_provider_is_reported(error: str, university: SignOnProvider) -> None:
    query = dict(parse_qsl(urlsplit(begin_sign_in(university, BROWSER)).query))
    answer = {"state": query["state"], "error": error}
    assert find_reason(lambda: finish(answer)) == "denied"


@pytest.mark.parametrize("code", ["", "x" * 5000])
def test_an_answer_without_a_usable_code_is_rejected(
    code: str, university: SignOnProvider, idp: IdentityProvider
) -> None:
    query = idp.authorize(begin_sign_in(university, BROWSER)) | {"code": code}
    assert find_reason(lambda: finish(query)) == "code_missing"


def test_a_replayed_code_is_rejected(university: SignOnProvider, idp: IdentityProvider) -> None:
    code = idp.authorize(begin_sign_in(university, BROWSER))
    finish(code)
    fresh = idp.authorize(begin_sign_in(university, BROWSER))
    stolen = fresh | {"code": code["code"]}
    assert find_reason(lambda: finish(stolen)) == "code_rejected"


def test_a_replayed_code_is_rejected_although_the_provider_accepts_it(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    """The ID token holds the nonce of the first attempt."""
    idp.accepts_codes_again = True
    code = idp.authorize(begin_sign_in(university, BROWSER))
    finish(code)
    stolen = idp.authorize(begin_sign_in(university, BROWSER)) | {"code": code["code"]}
    assert find_reason(lambda: finish(stolen)) == "token_nonce"


def test_a_tampered_challenge_is_rejected(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    url = begin_sign_in(university, BROWSER)
    challenge = dict(parse_qsl(urlsplit(url).query))["code_challenge"]
    query = idp.authorize(url.replace(challenge, "x" * len(challenge)))
    assert find_reason(lambda: finish(query)) == "code_rejected"


def test_a_changed_provider_ends_attempts(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    query = idp.authorize(begin_sign_in(university, BROWSER))
    SignOnProvider.put(ALICES_UNIVERSITY, idp.issuer, "another-client", CLIENT_SECRET)
    assert find_reason(lambda: finish(query)) == "provider_changed"


def test_a_removed_provider_ends_attempts(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    query = idp.authorize(begin_sign_in(university, BROWSER))
    university.delete()
    assert find_reason(lambda: finish(query)) == "provider_changed"


def test_a_wrong_client_secret_is_reported(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    SignOnProvider.put(ALICES_UNIVERSITY, idp.issuer, CLIENT_ID, "an-old-secret")
    query = idp.authorize(begin_sign_in(university, BROWSER))
    assert find_reason(lambda: finish(query)) == "client_rejected"


def test_metadata_and_keys_are_cached(sign_in: SignIn, idp: IdentityProvider) -> None:
    for _ in range(3):
        sign_in()
    assert idp.requests.count(("GET", "/.well-known/openid-configuration")) == 1
    assert idp.requests.count(("GET", "/keys")) == 1
    forget_metadata()
    sign_in()
    assert idp.requests.count(("GET", "/.well-known/openid-configuration")) == 2
