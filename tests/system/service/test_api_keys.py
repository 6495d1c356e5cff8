"""API keys: stored as digests, with scopes, expiry and last use, and revoked within a second."""

import time

from mongoengine import get_db

from documents.access.api_key import ApiKey
from tools.testbed.cast import University, create_university
from tools.testbed.stack import Stack


def test_the_secret_has_256_bits_and_is_not_stored(alice: University) -> None:
    made = alice.make("api-keys", name="form", scopes=["write"])
    secret = made["secret"]
    assert secret.startswith("mb_")
    assert len(secret) == 3 + 43  # 32 bytes in base64
    assert secret not in str(list(get_db().api_keys.find()))
    assert "secret" not in alice.get(f"/v1/api-keys/{made['id']}")


def test_a_key_shows_its_last_use(alice: University) -> None:
    made = alice.make("api-keys", name="form", scopes=["read"])
    path = f"/v1/api-keys/{made['id']}"
    assert alice.get(path)["last_used_at"] is None
    alice.call("GET", "/v1/users", headers={"Authorization": f"Bearer {made['secret']}"})
    used = alice.get(path)["last_used_at"]
    assert used is not None
    assert alice.get(path)["updated_at"] == made["updated_at"]  # use changes nothing


def test_a_scope_includes_lower_scopes(alice: University) -> None:
    allowed = {"read": (200, 403, 403), "write": (200, 201, 403), "admin": (200, 201, 200)}
    for number, (scope, statuses) in enumerate(allowed.items()):
        secret = alice.make("api-keys", name=scope, scopes=[scope])["secret"]
        headers = {"Authorization": f"Bearer {secret}"}
        body = {"name": "Bob", "email": f"bob{number}@example.edu"}
        got = (
            alice.api.call("GET", "/v1/users", headers=headers).status,
            alice.api.call("POST", "/v1/users", body, headers=headers).status,
            alice.api.call("GET", "/v1/api-keys", headers=headers).status,
        )
        assert got == statuses


def test_a_truncated_or_changed_key_is_rejected(alice: University) -> None:
    assert ApiKey.authenticate(alice.key) is not None
    assert ApiKey.authenticate(alice.key[:-1]) is None
    assert ApiKey.authenticate(alice.key.lower()) is None


def test_all_processes_apply_a_revocation_within_a_second(stack: Stack) -> None:
    alice = create_university("Alice's University", stack.api())
    made = alice.make("api-keys", name="leaked", scopes=["read"])
    headers = {"Authorization": f"Bearer {made['secret']}", "Connection": "close"}

    def asks() -> int:
        return alice.api.call("GET", "/v1/users", headers=headers).status

    assert {asks() for _ in range(20)} == {200}  # both web processes have learned of it
    assert alice.call("DELETE", f"/v1/api-keys/{made['id']}").status == 204
    time.sleep(1)
    assert {asks() for _ in range(20)} == {401}
