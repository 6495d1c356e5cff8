"""Webhook secrets are encrypted with the master key, which can be replaced."""

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet
from mongoengine import get_db

from config.settings import Settings, SettingsError
from documents.storage import sealed
from documents.webhook_key import WebhookKey
from service.cli import main
from tools.testbed.cast import University

SECRETS = ["whsec_first_of_stripes", "whsec_second_of_stripes"]
PATH = "/v1/webhook-keys/stripe"


def master_keys(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    config = Settings(master_keys=keys)
    monkeypatch.setattr(sealed, "get_settings", lambda: config)


def put(alice: University, secret: str) -> int:
    return alice.call("PUT", PATH, {"secret": secret}).status


def test_a_copy_of_the_database_reveals_no_secret(alice: University) -> None:
    for secret in SECRETS:
        assert put(alice, secret) == 200
    stored = str(list(get_db().webhook_keys.find()))
    assert "whsec_" not in stored
    assert "stripes" not in stored
    known = WebhookKey.of(alice.id, "stripe")
    assert known is not None
    assert known.opened() == SECRETS[::-1]  # both are valid during the replacement


def test_the_same_secret_twice_is_stored_once(alice: University) -> None:
    for secret in (SECRETS[0], SECRETS[1], SECRETS[1]):
        put(alice, secret)
    known = alice.get(PATH)
    assert known["secret_ends_with"] == known["previous_secret_ends_with"] == "ipes"
    stored = WebhookKey.of(alice.id, "stripe")
    assert stored is not None
    assert stored.opened() == SECRETS[::-1]


def test_without_a_master_key_no_secret_is_stored(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    master_keys(monkeypatch)
    answer = alice.call("PUT", PATH, {"secret": SECRETS[0]})
    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert get_db().webhook_keys.count_documents({}) == 0
    alice.set_webhook_key()  # SendGrid's key is public


def test_a_lost_master_key_makes_providers_retry(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(alice, SECRETS[0])
    master_keys(monkeypatch, Fernet.generate_key().decode())
    answer = alice.api.call("POST", f"/v1/webhooks/stripe/{alice.id}", body=b"{}")
    assert answer.status == 503  # providers retry a 503, but drop events after a 401


def test_the_master_key_can_be_replaced(alice: University, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    master_keys(monkeypatch, old)
    put(alice, SECRETS[0])
    alice.set_webhook_key()
    master_keys(monkeypatch, new, old)
    assert alice.get(PATH)["secret_ends_with"] == "ipes"
    assert WebhookKey.reseal() == 1
    master_keys(monkeypatch, new)
    assert alice.get(PATH)["secret_ends_with"] == "ipes"


def test_secrets_from_before_master_keys_are_read_and_encrypted(
    alice: University,
) -> None:
    put(alice, SECRETS[0])
    get_db().webhook_keys.update_one({}, {"$set": {"keys": [SECRETS[1]]}})
    assert alice.get(PATH)["secret_ends_with"] == "ipes"
    WebhookKey.reseal()
    assert "whsec_" not in str(list(get_db().webhook_keys.find()))


def test_a_new_master_key_can_be_used_as_printed() -> None:
    printed = CliRunner().invoke(main, ["master-key", "new"]).output.strip()
    assert Settings.from_env({"MATCHBACK_MASTER_KEYS": f"{printed}, {printed}"}).master_keys
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"MATCHBACK_MASTER_KEYS": "not-a-key"})
    assert "not-a-key" not in str(refused.value)
