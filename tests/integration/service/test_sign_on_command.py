"""`matchback sign-on`: the operator verifies domains and sees whether a provider answers."""

import json
from collections.abc import Iterator

import pytest
from bson import ObjectId
from cryptography.fernet import Fernet
from falcon import testing

from config import database
from config.settings import get_settings
from documents.sign_on.sign_on_provider import SignOnProvider
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university
from tools.testbed.command_line import run_matchback
from tools.testbed.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    IdentityProvider,
    Reply,
    run_identity_provider,
)


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[University]:
    monkeypatch.setattr("config.database.connect_database", database.get_client)
    monkeypatch.setenv("MATCHBACK_SIGN_ON_PRIVATE_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", Fernet.generate_key().decode())
    get_settings.cache_clear()
    yield create_university("Alice's University", Api.in_process(real_client))
    get_settings.cache_clear()


@pytest.fixture
def idp(alice: University) -> Iterator[IdentityProvider]:
    with run_identity_provider() as provider:
        SignOnProvider.put(ObjectId(alice.id), provider.issuer, CLIENT_ID, CLIENT_SECRET)
        yield provider


def test_the_operator_verifies_domains(alice: University, idp: IdentityProvider) -> None:
    of = ("--organization", alice.id)
    result = run_matchback("sign-on", "domains", *of, "Example.edu", "example.org")
    assert result.stdout == "Verified domains: example.edu, example.org\n"
    assert SignOnProvider.list_for_address("alice@example.edu")
    assert run_matchback("sign-on", "domains", *of).stdout == "Verified domains: none\n"
    assert SignOnProvider.list_for_address("alice@example.edu") == []


def test_the_operator_sees_the_provider(alice: University, idp: IdentityProvider) -> None:
    of = ("--organization", alice.id)
    shown = json.loads(run_matchback("sign-on", "show", *of, "--json").stdout)
    assert (shown["issuer"], shown["problem"]) == (idp.issuer, None)
    assert shown["redirect_uri"].endswith(f"/dashboard/sign-in/sso/{alice.id}")
    assert CLIENT_SECRET not in str(shown)
    idp.replies["/.well-known/openid-configuration"] = Reply(500)
    assert "problem: provider_unavailable" in run_matchback("sign-on", "show", *of).stdout


def test_wrong_input_is_explained(alice: University, idp: IdentityProvider) -> None:
    wrong = run_matchback("sign-on", "domains", "--organization", alice.id, "edu")
    assert "Must be at most 50 domains, such as example.edu." in wrong.output
    assert run_matchback("sign-on", "show", "--organization", UNKNOWN_ID).exit_code == 1
    SignOnProvider.objects().delete()
    without = run_matchback("sign-on", "show", "--organization", alice.id)
    assert "The organization has no identity provider." in without.output
