"""ID tokens that an attacker made, or that a provider must not send."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from documents.sign_on.signing_keys import forget_refetches, forget_signing_keys
from service.sign_on.finish import SignedOn
from tests.unit.service.sign_on.conftest import find_reason
from tools.testbed.identity_provider import (
    CLIENT_ID,
    IdentityProvider,
    Reply,
    SigningKey,
    encode,
    encode_number,
    reply_with,
)

SignIn = Callable[..., SignedOn]
EVIL_URL = "https://evil.example.com/keys"
LONG_AGO, FAR_AHEAD = 1_000_000_000, 4_000_000_000


@pytest.fixture(scope="module")
def evil_key() -> SigningKey:
    return SigningKey("first")


CLAIM_CASES: list[tuple[dict[str, Any], str]] = [
    ({"aud": "another-client"}, "token_audience"),
    ({"aud": ["another-client"]}, "token_audience"),
    ({"aud": []}, "token_audience"),
    ({"aud": {CLIENT_ID: 1}}, "token_audience"),
    ({"aud": f"{CLIENT_ID} another-client"}, "token_audience"),
    ({"aud": [CLIENT_ID, "another-client"]}, "token_party"),
    ({"aud": [CLIENT_ID, "another-client"], "azp": "another-client"}, "token_party"),
    ({"azp": "another-client"}, "token_party"),
    ({"azp": 1}, "token_party"),
    ({"iss": "https://evil.example.com"}, "token_issuer"),
    ({"iss": None}, "token_issuer"),
    ({"iss": ["https://evil.example.com"]}, "token_issuer"),
    ({"exp": LONG_AGO}, "token_expired"),
    ({"exp": "9999999999"}, "token_expired"),
    ({"exp": True}, "token_expired"),
    ({"exp": None}, "token_expired"),
    ({"nbf": FAR_AHEAD}, "token_early"),
    ({"iat": FAR_AHEAD}, "token_early"),
    ({"iat": LONG_AGO}, "token_expired"),
    ({"iat": -(10**18)}, "token_expired"),
    ({"iat": -1e300}, "token_expired"),
    ({"iat": None}, "token_early"),
    ({"nonce": "another"}, "token_nonce"),
    ({"nonce": None}, "token_nonce"),
    ({"nonce": ""}, "token_nonce"),
    ({"nonce": ["another"]}, "token_nonce"),
    ({"sub": ""}, "token_subject"),
    ({"sub": None}, "token_subject"),
    ({"sub": 7}, "token_subject"),
    ({"sub": "x" * 256}, "token_subject"),
    ({"sub": "\ud800"}, "token_subject"),
    ({"at_hash": [None]}, "token_claims"),
    ({"at_hash": "\ud800"}, "token_claims"),
    ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "token_claims"),
]


@pytest.mark.parametrize(("claims", "reason"), CLAIM_CASES, ids=lambda one: str(one)[:40])
def test_a_wrong_claim_is_rejected(claims: dict[str, Any], reason: str, sign_in: SignIn) -> None:
    assert find_reason(lambda: sign_in(**claims)) == reason


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "nonce", "sub"])
def test_a_missing_claim_is_rejected(name: str, sign_in: SignIn, idp: IdentityProvider) -> None:
    idp.make_token = lambda claims: idp.sign({k: v for k, v in claims.items() if k != name})
    assert find_reason(sign_in).startswith("token_")


def test_an_issuer_with_a_slash_is_another_issuer(sign_in: SignIn, idp: IdentityProvider) -> None:
    assert find_reason(lambda: sign_in(iss=f"{idp.issuer}/")) == "token_issuer"


def test_several_audiences_with_this_party_are_accepted(sign_in: SignIn) -> None:
    assert sign_in(aud=[CLIENT_ID, "another-client"], azp=CLIENT_ID)


def test_clocks_may_differ_by_a_minute(sign_in: SignIn) -> None:
    assert sign_in(iat=time.time() + 30, exp=time.time() - 30)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_signature_is_rejected(
    algorithm: str, sign_in: SignIn, idp: IdentityProvider
) -> None:
    for signature in ("", "AAAA"):
        header = {"alg": algorithm, "kid": "first"}
        idp.make_token = lambda claims, header=header, signature=signature: (  # type: ignore[misc]
            f"{pack(header)}.{pack(claims)}.{signature}"
        )
        assert find_reason(sign_in) == "token_algorithm"


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_an_hmac_with_the_public_key_is_rejected(
    form: str, sign_in: SignIn, idp: IdentityProvider
) -> None:
    key = idp.keys[0]
    pem = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = pem if form == "pem" else json.dumps(key.build_jwk()).encode()

    def forge(claims: dict[str, Any]) -> str:
        content = f"{pack({'alg': 'HS256', 'kid': 'first'})}.{pack(claims)}"
        return f"{content}.{encode(hmac.digest(secret, content.encode(), hashlib.sha256))}"

    idp.make_token = forge
    assert find_reason(sign_in) == "token_algorithm"


def test_an_hmac_key_of_the_provider_is_not_used(sign_in: SignIn, idp: IdentityProvider) -> None:
    idp.replies["/keys"] = reply_with({"keys": [{"kty": "oct", "kid": "first", "k": "c2VjcmV0"}]})
    assert find_reason(sign_in) == "key_unknown"


def test_another_key_with_the_same_id_is_rejected(
    sign_in: SignIn, idp: IdentityProvider, evil_key: SigningKey
) -> None:
    header = {"alg": "RS256", "kid": "first"}
    idp.make_token = lambda claims: evil_key.sign(header, claims)
    assert find_reason(sign_in) == "token_signature"


def test_changed_claims_are_rejected(sign_in: SignIn, idp: IdentityProvider) -> None:
    def change(claims: dict[str, Any]) -> str:
        header, _, signature = idp.sign(claims).split(".")
        return f"{header}.{pack(claims | {'email': 'dean@example.edu'})}.{signature}"

    idp.make_token = change
    assert find_reason(sign_in) == "token_signature"


@pytest.mark.parametrize(
    "names",
    [
        {"jku": EVIL_URL},
        {"x5u": EVIL_URL},
        {"jwk": "its own"},
        {"x5c": ["MIIB"]},
        {"jku": EVIL_URL, "jwk": "its own"},
    ],
    ids=str,
)
def test_keys_that_a_token_brings_are_ignored(
    names: dict[str, Any], sign_in: SignIn, idp: IdentityProvider, evil_key: SigningKey
) -> None:
    own = {"jwk": evil_key.build_jwk()} if "jwk" in names else {}
    header = {"alg": "RS256", "kid": "first", **names, **own}
    idp.make_token = lambda claims: evil_key.sign(header, claims)
    assert find_reason(sign_in) == "token_signature"
    idp.make_token = lambda claims: evil_key.sign(header | {"kid": "evil"}, claims)
    assert find_reason(sign_in) == "key_unknown"
    assert {path for _, path in idp.requests} <= {
        *("/.well-known/openid-configuration", "/token", "/keys")
    }


HEADER_CASES: list[tuple[dict[str, Any], str]] = [
    ({"crit": ["exp"], "exp": 1}, "token_header"),
    ({"crit": ["b64"], "b64": False}, "token_header"),
    ({"crit": []}, "token_header"),
    ({"crit": 5}, "token_header"),
    ({"b64": False}, "token_header"),
    ({"zip": "DEF"}, "token_header"),
    ({"typ": "logout+jwt"}, "token_header"),
    ({"typ": "at+jwt"}, "token_header"),
    ({"typ": 5}, "token_header"),
    ({"kid": 5}, "token_header"),
    ({"kid": "x" * 1000}, "token_header"),
    ({"alg": "RS257"}, "token_algorithm"),
    ({"alg": None}, "token_algorithm"),
    ({"alg": ["RS256"]}, "token_algorithm"),
    ({"alg": "HS512"}, "token_algorithm"),
    ({"alg": "PS256"}, "token_signature"),
    ({"alg": "ES256"}, "key_unknown"),
]


@pytest.mark.parametrize(("names", "reason"), HEADER_CASES, ids=lambda one: str(one)[:40])
def test_a_hostile_header_is_rejected(
    names: dict[str, Any], reason: str, sign_in: SignIn, idp: IdentityProvider
) -> None:
    """The provider's own key signed the token, so only the header is wrong."""
    header = {"alg": "RS256", "kid": "first"} | names
    idp.make_token = lambda claims: idp.keys[0].sign(header, claims)
    assert find_reason(sign_in) == reason


def make_malformed(idp: IdentityProvider) -> dict[str, Callable[[dict[str, Any]], str]]:
    header = {"alg": "RS256", "kid": "first"}
    sign = idp.keys[0].sign
    return {
        "empty": lambda claims: "",
        "two parts": lambda claims: "a.b",
        "five parts": lambda claims: "a.b.c.d.e",
        "not base64": lambda claims: idp.sign(claims).replace(".", ".!", 1),
        "padded": lambda claims: idp.sign(claims) + "=",
        "not ASCII": lambda claims: idp.sign(claims) + "é",
        "huge": lambda claims: idp.sign(claims | {"filler": "x" * 300_000}),
        "huge payload": lambda claims: idp.sign(claims | {"filler": "x" * 185_000}),
        "huge header": lambda claims: sign(header | {"filler": "x" * 9000}, claims),
        "deep payload": lambda claims: sign(header, b"[" * 5000 + b"]" * 5000),
        "deep claim": lambda claims: sign(header, b'{"a":' * 40 + b"1" + b"}" * 40),
        "deep header": lambda claims: f"{encode(b'[' * 5000 + b']' * 5000)}.e30.e30",
        "a list": lambda claims: sign(header, b"[]"),
        "not JSON": lambda claims: sign(header, b"claims"),
        "NaN": lambda claims: sign(header, b'{"exp": NaN}'),
        "duplicate claim": lambda claims: sign(header, b'{"aud": "a", "aud": "matchback"}'),
        "huge number": lambda claims: sign(header, b'{"exp": ' + b"9" * 5000 + b"}"),
    }


@pytest.mark.parametrize(
    "form",
    [
        *("empty", "two parts", "five parts", "not base64", "padded", "not ASCII", "huge"),
        *("huge payload", "huge header", "deep payload", "deep claim", "deep header", "a list"),
        *("not JSON", "NaN", "duplicate claim", "huge number"),
    ],
)
def test_a_malformed_token_is_rejected(form: str, sign_in: SignIn, idp: IdentityProvider) -> None:
    idp.make_token = make_malformed(idp)[form]
    assert find_reason(sign_in) in ("token_malformed", "token_signature")


def test_an_unknown_key_is_searched_for_once_a_minute(
    sign_in: SignIn, idp: IdentityProvider
) -> None:
    sign_in()
    idp.make_token = lambda claims: idp.keys[0].sign({"alg": "RS256", "kid": "unknown"}, claims)
    for _ in range(3):
        assert find_reason(sign_in) == "key_unknown"
    assert idp.requests.count(("GET", "/keys")) == 2
    forget_refetches()  # a minute later
    assert find_reason(sign_in) == "key_unknown"
    assert idp.requests.count(("GET", "/keys")) == 3


def test_a_new_key_is_accepted_at_once(sign_in: SignIn, idp: IdentityProvider) -> None:
    sign_in()
    idp.keys.append(SigningKey("second"))
    sign_in()
    assert idp.requests.count(("GET", "/keys")) == 2
    sign_in()
    assert idp.requests.count(("GET", "/keys")) == 2


def test_a_removed_key_is_rejected(sign_in: SignIn, idp: IdentityProvider) -> None:
    old = idp.keys.pop()
    idp.keys.append(SigningKey("second"))
    sign_in()
    idp.make_token = lambda claims: old.sign({"alg": "RS256", "kid": "first"}, claims)
    assert find_reason(sign_in) == "key_unknown"


def test_a_token_without_a_key_id_needs_a_single_key(
    sign_in: SignIn, idp: IdentityProvider
) -> None:
    idp.make_token = lambda claims: idp.keys[0].sign({"alg": "RS256"}, claims)
    assert sign_in()
    idp.keys.append(SigningKey("second"))
    forget_signing_keys()
    assert find_reason(sign_in) == "key_unknown"


def test_a_key_for_encryption_is_not_used(sign_in: SignIn, idp: IdentityProvider) -> None:
    for mark in ({"use": "enc"}, {"alg": "RS512"}, {"key_ops": ["encrypt"]}, {"key_ops": 5}):
        forget_signing_keys()
        idp.replies["/keys"] = reply_with({"keys": [idp.keys[0].build_jwk() | mark]})
        assert find_reason(sign_in) == "key_unknown"


@pytest.mark.parametrize(
    "keys",
    [
        {"keys": []},
        {"keys": "none"},
        {},
        {"keys": [{"kty": "RSA", "kid": "first"}]},
        {"keys": [{"kty": "RSA", "kid": "first", "n": 5, "e": []}]},
        {"keys": [{"kty": "RSA", "kid": "first", "n": "!", "e": "AQAB"}]},
    ],
    ids=str,
)
def test_unusable_keys_are_rejected(keys: Any, sign_in: SignIn, idp: IdentityProvider) -> None:
    idp.replies["/keys"] = reply_with(keys)
    assert find_reason(sign_in) == "provider_metadata"


def test_a_short_rsa_key_is_rejected(sign_in: SignIn, idp: IdentityProvider) -> None:
    idp.keys = [SigningKey("first", bits=1024)]
    assert find_reason(sign_in) == "provider_metadata"


@pytest.mark.parametrize("reply", [Reply(500), Reply(404), Reply(200, b"<html>")])
def test_missing_keys_are_reported(reply: Reply, sign_in: SignIn, idp: IdentityProvider) -> None:
    idp.replies["/keys"] = reply
    assert find_reason(sign_in) in ("provider_unavailable", "provider_answer")


def test_other_algorithms_are_accepted(sign_in: SignIn, idp: IdentityProvider) -> None:
    """RSA-PSS and an elliptic curve, signed without the libraries that Matchback uses."""
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    point = ec_key.public_key().public_numbers()
    numbers = rsa_key.public_key().public_numbers()
    pss = {"kty": "RSA", "kid": "pss", "n": encode_number(numbers.n), "e": "AQAB"}
    curve = {"kty": "EC", "kid": "ec", "crv": "P-256"}
    curve |= {"x": encode(point.x.to_bytes(32)), "y": encode(point.y.to_bytes(32))}
    unknown = [{"kty": "oct", "k": "AAAA"}, {"kty": "a future type"}]
    idp.replies["/keys"] = reply_with({"keys": [*unknown, pss, curve]})

    def sign_pss(content: bytes) -> bytes:
        return rsa_key.sign(content, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())

    def sign_ec(content: bytes) -> bytes:
        r, s = decode_dss_signature(ec_key.sign(content, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    for algorithm, key_id, sign in (("PS256", "pss", sign_pss), ("ES256", "ec", sign_ec)):
        header = pack({"alg": algorithm, "kid": key_id})

        def make(claims: dict[str, Any], header: str = header, sign: Any = sign) -> str:
            content = f"{header}.{pack(claims)}"
            return f"{content}.{encode(sign(content.encode()))}"

        idp.make_token = make
        assert sign_in()


def pack(value: Any) -> str:
    return encode(json.dumps(value).encode())
