"""Each route and verb, with no key, a key of insufficient scope, and an invalid key."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from documents.access.api_key import API_KEY_SCOPES, ApiKey
from documents.values.time import now
from service.api.openapi import list_operations
from service.routes import API_ROUTES
from tools.testbed.cast import UNKNOWN_ID, University

KEYLESS = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"}


def guarded() -> Iterator[tuple[str, str, str]]:
    for path, verb, declared, _ in list_operations(API_ROUTES):
        if declared.scope:
            yield verb.upper(), path.replace("{id}", UNKNOWN_ID), declared.scope


def test_only_public_routes_and_signed_webhooks_need_no_key() -> None:
    free = {path for path, _, declared, _ in list_operations(API_ROUTES) if not declared.scope}
    signed = {path for path, _, declared, _ in list_operations(API_ROUTES) if declared.signed_by}
    assert free - signed == KEYLESS


def test_reads_need_the_read_scope_and_writes_need_more() -> None:
    for verb, path, scope in guarded():
        assert (scope == "read") <= (verb == "GET"), (verb, path)


@pytest.fixture
def keys(alice: University) -> dict[str, str]:
    made = {
        scope: alice.make("api-keys", name=scope, scopes=[scope])["secret"]
        for scope in API_KEY_SCOPES
    }
    organization, scopes = ObjectId(alice.id), ["admin"]
    expired, secret = ApiKey.issue(organization, "old", scopes, now() - timedelta(seconds=1))
    revoked = alice.make("api-keys", name="revoked", scopes=scopes)
    alice.call("DELETE", f"/v1/api-keys/{revoked['id']}")
    assert expired.expires_at < datetime.now(UTC)
    return made | {"expired": secret, "revoked": revoked["secret"], "unknown": "mb_" + "x" * 43}


def test_every_route_requires_a_valid_key_of_its_scope(
    alice: University, keys: dict[str, str]
) -> None:
    walked = 0
    for verb, path, scope in guarded():
        assert alice.api.call(verb, path).status == 401
        for name in ("expired", "revoked", "unknown"):
            headers = {"Authorization": f"Bearer {keys[name]}"}
            assert alice.api.call(verb, path, headers=headers).status == 401, (verb, path, name)
        for held in API_KEY_SCOPES[: API_KEY_SCOPES.index(scope)]:
            headers = {"Authorization": f"Bearer {keys[held]}"}
            assert alice.api.call(verb, path, headers=headers).status == 403, (verb, path, held)
        walked += 1
    assert walked > 50
