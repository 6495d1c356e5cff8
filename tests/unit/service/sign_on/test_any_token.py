"""Whatever a signed token claims, the result is a person with a role, or a reason."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from documents.sign_on import signing_keys
from documents.sign_on.discovery import ProviderMetadata
from documents.sign_on.person import read_person
from documents.sign_on.policy import AdmissionPolicy
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.rules import choose_role
from service.sign_on.claims import merge_userinfo
from service.sign_on.id_token import read_id_token
from tools.testbed.identity_provider import CLIENT_ID, make_first_key

ISSUER = "https://idp.example.edu"
METADATA = ProviderMetadata(ISSUER, f"{ISSUER}/a", f"{ISSUER}/t", f"{ISSUER}/keys")
POLICY = AdmissionPolicy(
    "group", frozenset({"example.edu"}), "viewer", "groups", {"fundraising": "editor"}, True
)
NAMES = """iss sub aud exp nbf iat nonce azp at_hash auth_time amr acr email email_verified name
    given_name groups _claim_names hasgroups""".split()
HEADER_NAMES = "alg kid typ crit b64 jku jwk x5c x5u cty enc zip".split()
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([ISSUER, CLIENT_ID, "n", "alice@example.edu", "fundraising", 10**400])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def read(header: Mapping[str, Any], claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> str:
    """Return the role, or the reason. Any other error is a bug."""
    key = make_first_key()
    # Without a request.
    signing_keys._cache.put((ISSUER, METADATA.jwks_uri), (key.build_jwk(),))
    signing_keys._refetched.put((ISSUER, METADATA.jwks_uri), True)
    seconds = int(time.time())
    valid = {"iss": ISSUER, "sub": "a", "aud": CLIENT_ID, "exp": seconds + 60, "iat": seconds}
    more = {"nonce": "n", "email": "alice@example.edu", "groups": ["fundraising"]}
    token = key.sign({"alg": "RS256", "kid": "first", **header}, {**valid, **more, **claims})
    try:
        own = read_id_token(token, METADATA, client_id=CLIENT_ID, nonce="n", access_token="t")
        datetime.fromtimestamp(own["iat"], UTC)  # as the session stores it
        known = merge_userinfo(own, {"sub": "a", **userinfo})
        return choose_role(read_person(known, POLICY), known, POLICY, None)
    except SignOnRejected as rejected:
        return rejected.reason


def test_a_valid_token_gives_the_role() -> None:
    assert read({}, {}, {}) == "editor"


@settings(max_examples=300)
@given(claims=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
def test_any_claims_are_read(claims: dict[str, Any]) -> None:
    assert isinstance(read({}, claims, {}), str)


@settings(max_examples=150)
@given(header=st.dictionaries(st.sampled_from(HEADER_NAMES), VALUES, min_size=1, max_size=2))
def test_any_header_is_read(header: dict[str, Any]) -> None:
    assert isinstance(read(header, {}, {}), str)


@settings(max_examples=150)
@given(userinfo=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
def test_any_userinfo_is_read(userinfo: dict[str, Any]) -> None:
    without = {"email": None, "groups": None}
    assert isinstance(read({}, without, userinfo), str)
