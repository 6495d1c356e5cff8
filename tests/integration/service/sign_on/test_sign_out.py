"""Sign-out at both, and the end of sessions by the provider."""

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.access.staff_session import SignInLink
from documents.organization import Organization
from documents.sign_on.fetching import forget_failures
from documents.sign_on.signing_keys import forget_signing_keys
from tests.integration.service.sign_on.conftest import (
    find_provider,
    find_staff,
    list_actions,
    read_leaving_url,
    sign_on,
)
from tools.testbed.cast import University
from tools.testbed.identity_provider import CLIENT_ID, IdentityProvider, Reply
from tools.testbed.pages import Browser, add_staff, sign_in_staff

EVENT = "http://schemas.openid.net/event/backchannel-logout"
FORM = "application/x-www-form-urlencoded"


def build_logout(idp: IdentityProvider, **more: Any) -> str:
    claims = {
        "iss": idp.issuer,
        "aud": CLIENT_ID,
        "iat": int(time.time()),
        "exp": int(time.time()) + 120,
        "jti": str(ObjectId()),
        "sub": "alice-at-the-provider",
        "events": {EVENT: {}},
        **more,
    }
    return idp.sign({name: one for name, one in claims.items() if one is not None})


def post_logout(client: testing.TestClient, place: University, token: str) -> testing.Result:
    path = f"/dashboard/sign-out/back-channel/{place.id}"
    headers = {"Content-Type": FORM}
    return client.simulate_post(path, body=f"logout_token={token}", headers=headers)


def is_signed_in(browser: Browser) -> bool:
    return browser.get("/dashboard").status_code == 200


def test_sign_out_ends_the_session_here_and_at_the_provider(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    answer = browser.send("/dashboard/sign-out")
    url = read_leaving_url(answer)
    assert url.startswith(f"{idp.issuer}/end?")
    query = parse_qs(urlsplit(url).query)
    assert query["id_token_hint"][0].count(".") == 2
    assert query["client_id"] == [CLIENT_ID]
    assert query["post_logout_redirect_uri"][0].endswith("/dashboard/sign-in")
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert not is_signed_in(browser)
    assert get_db().staff_sessions.count_documents({}) == 0


def test_the_stored_token_is_sealed(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp, sid="session-1")
    stored = get_db().staff_sessions.find_one()
    assert stored
    proof = stored["grants"][0]["proof"]
    assert proof["id_token"].startswith("sealed:")
    assert proof["session_id"] == "session-1"
    assert proof["identity"] == f"{idp.issuer} alice-at-the-provider"
    assert proof["at"]


def test_a_password_session_signs_out_here_only(
    real_client: testing.TestClient, alma: University
) -> None:
    ben = sign_in_staff(real_client, alma.id, "ben@example.edu")
    assert ben.send("/dashboard/sign-out").headers["location"] == "/dashboard/sign-in"


def test_sign_out_works_without_the_provider(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    find_provider(alma).set_sign_out(ends_sessions=False)
    assert browser.send("/dashboard/sign-out").status_code == 303
    assert not is_signed_in(browser)


def test_back_channel_logout_ends_all_sessions_of_the_person(
    real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    two = [Browser(real_client), Browser(real_client)]
    for number, one in enumerate(two):
        sign_on(one, alma, idp, sid=f"session-{number}")
    charlie = Browser(real_client)
    sign_on(charlie, alma, idp, sub="charlie", email="charlie@example.edu")
    assert all(map(is_signed_in, two))
    assert post_logout(real_client, alma, build_logout(idp)).status_code == 200
    assert not any(map(is_signed_in, two))
    assert is_signed_in(charlie)
    assert list_actions(alma)[-1] == "sessions ended"


@pytest.mark.parametrize("subject", ["alice-at-the-provider", None])
def test_a_logout_of_one_session_leaves_the_others(
    real_client: testing.TestClient, alma: University, idp: IdentityProvider, subject: str | None
) -> None:
    first, second = Browser(real_client), Browser(real_client)
    sign_on(first, alma, idp, sid="session-1")
    sign_on(second, alma, idp, sid="session-2")
    token = build_logout(idp, sub=subject, sid="session-1")
    assert post_logout(real_client, alma, token).status_code == 200
    assert not is_signed_in(first)
    assert is_signed_in(second)


def test_a_logout_does_not_end_a_later_session_or_the_operators_link(
    browser: Browser, real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    add_staff(alma.id, "alice@example.edu")
    linked = Browser(real_client)
    secret = SignInLink.make(find_staff(alma))
    linked.get("/dashboard/sign-in/link", query_string=f"token={secret}")
    linked.send("/dashboard/sign-in/link", {"token": secret})
    sign_on(browser, alma, idp)
    token = build_logout(idp, iat=int(time.time()) - 30)
    assert post_logout(real_client, alma, token).status_code == 200
    assert is_signed_in(browser)
    assert post_logout(real_client, alma, build_logout(idp)).status_code == 200
    assert not is_signed_in(browser)
    assert is_signed_in(linked)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-client"},
        {"iss": "https://another.example.edu"},
        {"events": None},
        {"nonce": "a-nonce"},
        {"sub": None},
        {"jti": None},
        {"exp": 1},
    ],
)
def test_a_wrong_token_ends_nothing(
    browser: Browser,
    real_client: testing.TestClient,
    alma: University,
    idp: IdentityProvider,
    claims: dict[str, Any],
) -> None:
    sign_on(browser, alma, idp)
    answer = post_logout(real_client, alma, build_logout(idp, **claims))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"
    assert is_signed_in(browser)


def test_no_token_and_a_repeated_token_end_nothing(
    browser: Browser,
    real_client: testing.TestClient,
    alma: University,
    bolt: University,
    idp: IdentityProvider,
) -> None:
    sign_on(browser, alma, idp)
    for token in ("", "nonsense", "a.b.c"):
        assert post_logout(real_client, alma, token).status_code == 400
    path = f"/dashboard/sign-out/back-channel/{alma.id}"
    assert real_client.simulate_post(path).status_code == 415
    assert post_logout(real_client, bolt, build_logout(idp)).status_code == 400
    assert is_signed_in(browser)
    token = build_logout(idp)
    assert post_logout(real_client, alma, token).status_code == 200
    assert post_logout(real_client, alma, token).status_code == 400


def test_a_provider_without_keys_gets_503_and_can_repeat_the_token(
    browser: Browser, real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    forget_signing_keys()
    idp.replies["/keys"] = Reply(500)
    token = build_logout(idp)
    assert post_logout(real_client, alma, token).status_code == 503
    del idp.replies["/keys"]
    forget_failures()  # as after ten seconds
    assert post_logout(real_client, alma, token).status_code == 200
    assert not is_signed_in(browser)


def test_a_chosen_password_does_not_hide_the_session_from_the_provider(
    browser: Browser, real_client: testing.TestClient, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    answer = browser.send("/dashboard/account", {"password": "seven quiet herons wading"})
    assert answer.status_code == 303
    assert is_signed_in(browser)
    assert post_logout(real_client, alma, build_logout(idp)).status_code == 200
    assert not is_signed_in(browser)


def test_a_required_sign_on_leaves_no_password_to_choose(
    browser: Browser, alma: University, idp: IdentityProvider
) -> None:
    sign_on(browser, alma, idp)
    Organization.objects(id=alma.id).update(set__requires_single_sign_on=True)
    assert 'name="password"' not in browser.get("/dashboard/account").text
    answer = browser.send("/dashboard/account", {"password": "seven quiet herons wading"})
    assert answer.status_code == 409
    assert find_staff(alma).person.password is None
