"""`matchback sign-on`: the operator verifies domains and sees whether a provider answers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bson import ObjectId
from cryptography.fernet import Fernet
from falcon import testing

from config import database
from config.settings import get_settings
from documents.access.audit import OpenAct
from documents.access.grants import ProviderProof
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.organization import Organization
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.values.time import now
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


def test_the_operator_sets_and_removes_the_provider(alice: University, tmp_path: Path) -> None:
    of = ("--organization", alice.id)
    secret = tmp_path / "secret"
    secret.write_text("words-of-the-client\n")
    client = ("--issuer", "https://idp.example.edu", "--client-id", "matchback")
    without = run_matchback("sign-on", "set", *of, *client)
    assert "Enter the client secret." in without.output
    made = run_matchback("sign-on", "set", *of, *client, "--secret-file", str(secret))
    assert made.exit_code == 0, made.output
    assert "words-of-the-client" not in made.output
    stored = SignOnProvider.of(alice.id)
    assert stored
    assert stored.open_secret() == "words-of-the-client"
    assert run_matchback("sign-on", "set", *of, *client).exit_code == 0  # keeps the secret
    assert run_matchback("sign-on", "remove", *of, said="n\n").exit_code == 1
    assert SignOnProvider.of(alice.id)
    assert run_matchback("sign-on", "remove", *of, said="y\n").exit_code == 0
    assert SignOnProvider.of(alice.id) is None
    acts = OpenAct.objects(organization_id=ObjectId(alice.id)).order_by("id")
    assert [(one.action, one.outcome) for one in acts] == [
        ("sign-on set", 1),
        ("sign-on set", 0),
        ("sign-on set", 0),
        ("sign-on remove", 1),
        ("sign-on remove", 0),
    ]


def test_the_operator_requires_it_after_a_member_has_signed_in(
    alice: University, idp: IdentityProvider
) -> None:
    of = ("--organization", alice.id)
    early = run_matchback("sign-on", "require", *of, "on")
    assert early.exit_code == 1
    assert "Sign in through the provider with its present settings first." in early.output
    anna = Staff.add(ObjectId(alice.id), "Anna", "anna@example.edu", "viewer")
    proof = ProviderProof(
        organization_id=ObjectId(alice.id),
        identity=f"{idp.issuer} anna-7",
        at=now(),
        issued_at=now(),
    )
    StaffSession.begin(anna, way="single sign-on", proof=proof)
    assert run_matchback("sign-on", "require", *of, "on").exit_code == 0
    assert Organization.named(alice.id).requires_single_sign_on
    denied = run_matchback("sign-on", "remove", *of, "--yes")
    assert "Accept passwords first." in denied.output
    assert run_matchback("sign-on", "require", *of, "off").exit_code == 0
    assert not Organization.named(alice.id).requires_single_sign_on


def test_wrong_input_is_explained(alice: University, idp: IdentityProvider) -> None:
    wrong = run_matchback("sign-on", "domains", "--organization", alice.id, "edu")
    assert "Must be at most 50 domains, such as example.edu." in wrong.output
    assert run_matchback("sign-on", "show", "--organization", UNKNOWN_ID).exit_code == 1
    SignOnProvider.objects().delete()
    without = run_matchback("sign-on", "show", "--organization", alice.id)
    assert "The organization has no identity provider." in without.output
