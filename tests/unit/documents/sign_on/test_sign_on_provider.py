"""The stored provider: its secret is sealed, its domains lead to it, its values are checked."""

from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId
from cryptography.fernet import Fernet
from mongoengine import get_db

from config.settings import get_settings
from documents.errors import Unacceptable
from documents.sign_on.draft import adopt_draft, propose_secret
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.storage.resealing import reseal_records
from documents.storage.sealed import UnsealableSecret

ALICES, CHARLIES = ObjectId("a" * 24), ObjectId("c" * 24)
ISSUER = "https://idp.example.edu/realms/staff"
SEALED_WORDS = "words-that-only-the-client-knows"


@pytest.fixture(autouse=True)
def master_key(mock_database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", key)
    get_settings.cache_clear()
    yield key
    get_settings.cache_clear()


def put(organization_id: ObjectId = ALICES, **more: Any) -> SignOnProvider:
    given = {"issuer": ISSUER, "client_id": "matchback", "client_secret": SEALED_WORDS} | more
    return SignOnProvider.put(organization_id, **given)


def test_the_secret_is_sealed() -> None:
    put()
    assert SEALED_WORDS not in str(list(get_db().sign_on_providers.find()))
    stored = SignOnProvider.of(ALICES)
    assert stored is not None
    assert stored.open_secret() == SEALED_WORDS
    assert SEALED_WORDS not in repr(stored.to_mongo())


def test_another_organization_has_none() -> None:
    put()
    assert SignOnProvider.of(CHARLIES) is None
    assert SignOnProvider.of("not an ID") is None


def test_rules_and_domains_stay_when_the_client_changes() -> None:
    put().set_domains(["example.edu"]).set_rules(admission="domain", default_role="editor")
    changed = put(client_secret="a-new-secret")
    assert changed.open_secret() == "a-new-secret"
    assert (changed.policy.mode, changed.policy.default_role) == ("domain", "editor")
    assert changed.policy.domains == {"example.edu"}
    assert get_db().sign_on_providers.count_documents({}) == 1


def test_a_kept_secret_is_not_sent_to_another_issuer() -> None:
    """Otherwise, an admin could read the secret with an issuer of their own."""
    put()
    assert put(client_secret=None).open_secret() == SEALED_WORDS
    changes: list[dict[str, Any]] = [{"issuer": "https://a.example.com"}, {"client_id": "another"}]
    for change in changes:
        with pytest.raises(Unacceptable):
            put(client_secret=None, **change)
    with pytest.raises(Unacceptable):
        put(CHARLIES, client_secret=None)


@pytest.mark.parametrize(
    "issuer",
    [
        *("", "idp.example.edu", "http://idp.example.edu", "ftp://idp.example.edu", "https://"),
        *("https://a:b@idp.example.edu", "https://idp.example.edu/#x", "https://idp.example.edu?a"),
        *("https://10.0.0.1", "https://169.254.169.254/", "https://localhost", "https://[::1]"),
        *("https://idp.example.edu/ x", "https://idp.example.edu/" + "x" * 2000, "https://é.edu"),
        *("https://2130706433", "https://idp.example.edu:99999", "javascript:alert(1)"),
    ],
)
def test_an_issuer_is_a_public_url(issuer: str) -> None:
    with pytest.raises(Unacceptable):
        put(issuer=issuer)


@pytest.mark.parametrize("text", ["", "two words", "é", "x" * 501, "line\nbreak"])
@pytest.mark.parametrize("field", ["client_id", "client_secret"])
def test_client_values_fit_into_a_header(field: str, text: str) -> None:
    given: dict[str, Any] = {field: text}
    with pytest.raises(Unacceptable):
        put(**given)


@pytest.mark.parametrize(
    "rules",
    [
        {"admission": "everyone"},
        {"admission": "domain", "default_role": "owner"},
        {"admission": "group", "group_roles": {"a": "owner"}},
        {"admission": "group", "group_roles": {"": "viewer"}},
        {"admission": "group", "group_roles": {str(one): "viewer" for one in range(501)}},
        {"admission": "group", "group_claim": "two words"},
        {"admission": "group", "scopes": ["two words"]},
        {"admission": "group", "scopes": [str(one) for one in range(11)]},
    ],
    ids=lambda rules: str(rules)[:60],
)
def test_rules_are_checked(rules: dict[str, Any]) -> None:
    with pytest.raises(Unacceptable):
        put().set_rules(**rules)


def test_names_of_groups_may_contain_dots() -> None:
    stored = put().set_rules(admission="group", group_roles={"a.b$c": "admin"})
    assert stored.policy.group_roles == {"a.b$c": "admin"}


def test_an_address_leads_to_its_provider() -> None:
    put().set_domains(["Example.EDU", "münchen.example"])
    put(CHARLIES).set_domains(["example.org", "example.edu"])
    found = SignOnProvider.list_for_address("ALICE@example.edu")
    assert [one.organization_id for one in found] == [ALICES, CHARLIES]
    assert SignOnProvider.list_for_address("a@xn--mnchen-3ya.example")
    for email in ("a@sub.example.edu", "a@evil-example.edu", "example.edu", "", "a@"):
        assert SignOnProvider.list_for_address(email) == []


@pytest.mark.parametrize(
    "domain", ["", "edu", "*.example.edu", "example.edu/", "a@example.edu", ".edu", "exa mple.edu"]
)
def test_a_domain_is_a_host_name(domain: str) -> None:
    with pytest.raises(Unacceptable):
        put().set_domains([domain])
    with pytest.raises(Unacceptable):
        put().set_domains([f"d{number}.example.edu" for number in range(51)])


def test_a_new_master_key_seals_again(master_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    new = Fernet.generate_key().decode()
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", f"{new},{master_key}")
    get_settings.cache_clear()
    assert reseal_records(SignOnProvider) == 1
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", new)
    get_settings.cache_clear()
    assert put(client_secret=None).open_secret() == SEALED_WORDS


def test_a_new_master_key_seals_the_secret_that_waits(
    master_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = propose_secret(put(), "a-new-secret")
    assert "a-new-secret" not in str(waiting.to_mongo())
    settings_at, new = waiting.settings_at, Fernet.generate_key().decode()
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", f"{new},{master_key}")
    get_settings.cache_clear()
    reseal_records(SignOnProvider)
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", new)
    get_settings.cache_clear()
    stored = SignOnProvider.of(ALICES)
    assert stored
    assert stored.settings_at == settings_at  # so the proof of a session stays valid
    adopt_draft(ALICES, stored.draft_id)
    assert put(client_secret=None).open_secret() == "a-new-secret"


def test_a_secret_needs_a_master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATCHBACK_MASTER_KEYS")
    get_settings.cache_clear()
    with pytest.raises(UnsealableSecret):
        put()


def test_sign_out_can_leave_the_provider_alone() -> None:
    assert put().ends_sessions is True
    assert put().set_sign_out(ends_sessions=False).ends_sessions is False
