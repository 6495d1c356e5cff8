"""The userinfo endpoint adds claims that the ID token lacks, if it describes the same person."""

from collections.abc import Callable
from typing import Any

import pytest

from documents.sign_on.sign_on_provider import SignOnProvider
from service.sign_on.claims import merge_userinfo
from service.sign_on.finish import SignedOn
from tests.unit.service.sign_on.conftest import find_reason
from tools.testbed.identity_provider import IdentityProvider, Reply, reply_with

SignIn = Callable[..., SignedOn]
USERINFO = ("GET", "/userinfo")


def without(idp: IdentityProvider, *names: str) -> None:
    """Let the ID token lack these claims."""
    idp.make_token = lambda claims: idp.sign({k: v for k, v in claims.items() if k not in names})


def test_a_complete_token_needs_no_userinfo(sign_in: SignIn, idp: IdentityProvider) -> None:
    sign_in()
    assert USERINFO not in idp.requests


def test_a_missing_address_comes_from_userinfo(sign_in: SignIn, idp: IdentityProvider) -> None:
    without(idp, "email", "email_verified")
    idp.userinfo = {"email": "Alice@Example.edu", "email_verified": True}
    assert sign_in().person.address == "alice@example.edu"
    assert idp.authorizations[idp.requests.index(USERINFO)] == "Bearer opaque"


def test_missing_groups_come_from_userinfo(
    sign_in: SignIn, idp: IdentityProvider, university: SignOnProvider
) -> None:
    university.set_rules(admission="group", group_roles={"fundraising": "editor"})
    idp.userinfo = {"groups": ["fundraising"]}
    assert sign_in().choose_role(None) == "editor"


@pytest.mark.parametrize("subject", ["mallory", None, ""])
def test_userinfo_of_another_person_is_rejected(
    subject: str | None, sign_in: SignIn, idp: IdentityProvider
) -> None:
    without(idp, "email", "email_verified")
    idp.userinfo = {"sub": subject, "email": "dean@example.edu", "email_verified": True}
    assert find_reason(sign_in) == "token_subject"


@pytest.mark.parametrize("reply", [Reply(500), Reply(302), Reply(200, b"a.b.c"), reply_with([])])
def test_a_failing_userinfo_endpoint_is_reported(
    reply: Reply, sign_in: SignIn, idp: IdentityProvider
) -> None:
    without(idp, "email")
    idp.replies["/userinfo"] = reply
    assert find_reason(sign_in) in ("provider_unavailable", "provider_answer")


CLAIMS = {"iss": "https://idp.example.edu", "sub": "a", "aud": "matchback"}
MERGES: list[tuple[dict[str, Any], dict[str, Any], tuple[Any, Any]]] = [
    ({}, {"email": "a@x.edu", "email_verified": True}, ("a@x.edu", True)),
    ({"email": "a@x.edu"}, {"email": "a@x.edu", "email_verified": True}, ("a@x.edu", True)),
    ({"email": "a@x.edu"}, {"email": "b@x.edu", "email_verified": True}, ("a@x.edu", None)),
    ({"email": "a@x.edu"}, {"email_verified": True}, ("a@x.edu", None)),
    ({"email_verified": True}, {"email": "b@x.edu"}, ("b@x.edu", None)),
    ({"email_verified": True}, {"email": "b@x.edu", "email_verified": False}, ("b@x.edu", False)),
]


@pytest.mark.parametrize(("token", "userinfo", "result"), MERGES)
def test_a_verification_counts_only_for_its_own_address(
    token: dict[str, Any], userinfo: dict[str, Any], result: tuple[Any, Any]
) -> None:
    merged = merge_userinfo(CLAIMS | token, {"sub": "a", "iss": "evil", **userinfo})
    assert (merged["email"], merged.get("email_verified")) == result
    assert merged["iss"] == CLAIMS["iss"]
