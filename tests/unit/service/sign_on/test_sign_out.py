"""Sign-out at the provider, and logout tokens by which the provider ends sessions."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bson import ObjectId
from mongoengine import get_db

from documents.sign_on.discovery import forget_metadata
from documents.sign_on.sign_on_provider import SignOnProvider
from service.sign_on.back_channel import LOGOUT_EVENT, LogoutNotice, accept_logout_token
from service.sign_on.provider_sign_out import build_provider_sign_out_url
from tests.unit.service.sign_on.conftest import ALICES_UNIVERSITY, find_reason
from tools.testbed.identity_provider import (
    CLIENT_ID,
    IdentityProvider,
    Reply,
    SigningKey,
    make_first_key,
)

Send = Callable[..., LogoutNotice]
LONG_AGO, FAR_AHEAD = 1_000_000_000, 4_000_000_000


@pytest.fixture
def ended() -> list[LogoutNotice]:
    return []


@pytest.fixture
def send(university: SignOnProvider, idp: IdentityProvider, ended: list[LogoutNotice]) -> Send:
    """Return a function that posts a logout token with these claims. None removes a claim."""

    def send(header: dict[str, Any] | None = None, **claims: Any) -> LogoutNotice:
        return accept_logout_token(
            ALICES_UNIVERSITY, make_token(idp, header, **claims), ended.append
        )

    return send


def make_token(idp: IdentityProvider, header: dict[str, Any] | None = None, **claims: Any) -> str:
    seconds = int(time.time())
    valid = {
        "iss": idp.issuer,
        "aud": CLIENT_ID,
        "iat": seconds,
        "exp": seconds + 120,
        "jti": "token-1",
        "sub": "alice-at-the-provider",
        "sid": "session-7",
        "events": {LOGOUT_EVENT: {}},
    }
    given = {name: one for name, one in (valid | claims).items() if one is not None}
    head = {"alg": "RS256", "typ": "logout+jwt", "kid": "first"} | (header or {})
    return make_first_key().sign(head, given)


def test_the_provider_ends_a_session(send: Send, ended: list[LogoutNotice]) -> None:
    notice = send()
    assert ended == [notice]
    assert (notice.subject, notice.session_id) == ("alice-at-the-provider", "session-7")
    assert notice.organization_id == ALICES_UNIVERSITY


@pytest.mark.parametrize("missing", ["sub", "sid"])
def test_a_subject_or_a_session_is_enough(missing: str, send: Send) -> None:
    assert send(**{missing: None})


LOGOUT_CASES: list[tuple[dict[str, Any], str]] = [
    ({"nonce": "n"}, "logout_event"),
    ({"nonce": ""}, "logout_event"),
    ({"events": None}, "logout_event"),
    ({"events": {}}, "logout_event"),
    ({"events": [LOGOUT_EVENT]}, "logout_event"),
    ({"events": {LOGOUT_EVENT: None}}, "logout_event"),
    ({"events": {LOGOUT_EVENT + "/": {}}}, "logout_event"),
    ({"sub": None, "sid": None}, "logout_event"),
    ({"sub": "", "sid": None}, "logout_event"),
    ({"sid": 7}, "logout_event"),
    ({"sid": "\ud800"}, "logout_event"),
    ({"aud": "another-client"}, "token_audience"),
    ({"aud": None}, "token_audience"),
    ({"iss": "https://evil.example.com"}, "token_issuer"),
    ({"iss": None}, "token_issuer"),
    ({"iat": None}, "token_early"),
    ({"iat": FAR_AHEAD}, "token_early"),
    ({"iat": LONG_AGO}, "token_expired"),
    ({"exp": LONG_AGO}, "token_expired"),
    ({"exp": None}, "token_expired"),
    ({"jti": None}, "token_claims"),
    ({"jti": 7}, "token_claims"),
    ({"jti": "x" * 501}, "logout_event"),
    ({"header": {"alg": "none"}}, "token_algorithm"),
    ({"header": {"alg": "HS256"}}, "token_algorithm"),
    ({"header": {"kid": "unknown"}}, "key_unknown"),
    ({"header": {"typ": "at+jwt"}}, "token_header"),
    ({"header": {"crit": ["exp"]}}, "token_header"),
]


@pytest.mark.parametrize(("change", "reason"), LOGOUT_CASES, ids=lambda one: str(one)[:50])
def test_a_hostile_logout_token_is_rejected(
    change: dict[str, Any], reason: str, send: Send, ended: list[LogoutNotice]
) -> None:
    assert find_reason(lambda: send(**change)) == reason
    assert ended == []


def test_a_logout_token_of_another_key_is_rejected(
    university: SignOnProvider, idp: IdentityProvider, ended: list[LogoutNotice]
) -> None:
    idp.keys = [SigningKey("first")]
    token = make_token(idp)
    reason = find_reason(lambda: accept_logout_token(ALICES_UNIVERSITY, token, ended.append))
    assert reason == "token_signature"
    assert ended == []


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * 300_000, "é.é.é", "e30.e30.e30"])
def test_text_that_is_not_a_token_causes_no_request(
    token: str, university: SignOnProvider, idp: IdentityProvider, ended: list[LogoutNotice]
) -> None:
    reason = find_reason(lambda: accept_logout_token(ALICES_UNIVERSITY, token, ended.append))
    assert reason in ("token_malformed", "token_issuer")
    assert idp.requests == []


def test_an_id_token_is_not_a_logout_token(
    university: SignOnProvider, idp: IdentityProvider, ended: list[LogoutNotice]
) -> None:
    token = idp.sign(idp.build_claims(nonce="n", jti="id-1"))
    reason = find_reason(lambda: accept_logout_token(ALICES_UNIVERSITY, token, ended.append))
    assert reason == "logout_event"


def test_a_replayed_logout_token_is_rejected(send: Send, ended: list[LogoutNotice]) -> None:
    send()
    assert find_reason(send) == "logout_replayed"
    assert send(jti="token-2")
    assert len(ended) == 2
    assert "token-1" not in str(list(get_db().used_logout_tokens.find()))


def test_a_token_counts_again_if_ending_sessions_failed(
    university: SignOnProvider, idp: IdentityProvider, ended: list[LogoutNotice]
) -> None:
    def fail(_: LogoutNotice) -> None:
        raise ConnectionError

    token = make_token(idp)
    with pytest.raises(ConnectionError):
        accept_logout_token(ALICES_UNIVERSITY, token, fail)
    accept_logout_token(ALICES_UNIVERSITY, token, ended.append)
    assert len(ended) == 1


def test_another_organization_does_not_accept_the_token(
    university: SignOnProvider, idp: IdentityProvider, ended: list[LogoutNotice]
) -> None:
    token = make_token(idp)
    reason = find_reason(lambda: accept_logout_token(ObjectId(), token, ended.append))
    assert reason == "provider_missing"


def test_sign_out_leads_to_the_provider(university: SignOnProvider, idp: IdentityProvider) -> None:
    url = build_provider_sign_out_url(university, "an.id.token")
    assert url is not None
    assert url.startswith(f"{idp.issuer}/end?")
    query = {name: one for name, [one] in parse_qs(urlsplit(url).query).items()}
    assert query["client_id"] == CLIENT_ID
    assert query["id_token_hint"] == "an.id.token"
    assert query["post_logout_redirect_uri"].endswith("/dashboard/sign-in")
    assert "id_token_hint" not in str(build_provider_sign_out_url(university, "x" * 5000))
    assert "id_token_hint" not in str(build_provider_sign_out_url(university))


def test_a_query_of_the_endpoint_stays(university: SignOnProvider, idp: IdentityProvider) -> None:
    idp.metadata["end_session_endpoint"] = f"{idp.issuer}/end?policy=p1"
    assert "/end?policy=p1&client_id=" in str(build_provider_sign_out_url(university))


def test_a_provider_never_prevents_sign_out(
    university: SignOnProvider, idp: IdentityProvider
) -> None:
    idp.metadata["end_session_endpoint"] = None
    assert build_provider_sign_out_url(university) is None
    forget_metadata()
    idp.replies["/.well-known/openid-configuration"] = Reply(500)
    assert build_provider_sign_out_url(university) is None
    university.ends_sessions = False
    assert build_provider_sign_out_url(university) is None
