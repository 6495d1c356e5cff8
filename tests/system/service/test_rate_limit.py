"""Request limits of a key, or of an address without one. No request waits for Redis."""

import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from limits.storage import MemoryStorage
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as Away

from config.settings import Settings
from service.middleware import rate_limit as module
from service.middleware.client_address import find_untrusted_address
from service.middleware.rate_limit import RateLimit
from tools.testbed.cast import UNKNOWN_ID, University
from tools.testbed.stack import Stack, wait_until


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Allow five requests a minute for a key, and three for an address without one."""
    config = Settings(key_requests_a_minute=5, address_requests_a_minute=3)
    monkeypatch.setattr(module, "get_settings", lambda: config)
    yield
    module.rate_limit.forget()


def test_a_key_over_its_limit_gets_retry_after(
    alice: University, charlie: University, few: None
) -> None:
    for _ in range(5):
        assert alice.call("GET", "/v1/users").status == 200
    refused = alice.call("GET", "/v1/users")
    assert refused.status == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert charlie.call("GET", "/v1/users").status == 200


def test_a_post_over_the_limit_has_no_effect_and_can_be_repeated(
    alice: University, few: None
) -> None:
    headers = {"Idempotency-Key": "one"}
    for _ in range(5):
        alice.call("GET", "/v1/users")
    body = {"name": "Bob", "email": "bob@example.edu"}
    assert alice.call("POST", "/v1/users", body, headers=headers).status == 429
    module.rate_limit.forget()
    assert alice.call("POST", "/v1/users", body, headers=headers).status == 201


def test_a_guessing_address_is_limited_and_valid_keys_are_not(alice: University, few: None) -> None:
    def guess() -> int:
        return alice.api.call("GET", "/v1/users", headers={"Authorization": "Bearer mb_x"}).status

    assert [guess() for _ in range(5)] == [401, 401, 401, 429, 429]
    assert alice.call("GET", "/v1/users").status == 200
    assert alice.api.call("GET", "/openapi.json").status == 429
    unsigned = alice.api.call("POST", f"/v1/webhooks/sendgrid/{UNKNOWN_ID}", body=b"[]")
    assert unsigned.status == 429
    shared = alice.api.call("POST", "/v1/webhooks/sendgrid", body=b"[]")
    assert shared.status == 429
    alice.set_webhook_key()
    assert alice.deliver([]).status == 202
    assert alice.api.call("GET", "/healthz").status == 200  # a load balancer sends requests all day


class Elsewhere(MemoryStorage):
    """A Redis in which another process has counted too."""

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        return super().incr(key, int(expiry), amount) + 4


class Gone:
    """An unavailable Redis."""

    def incr(self, *_: Any) -> int:
        raise Away


def quiet(limit: RateLimit) -> RateLimit:
    patch.object(limit._comparing, "ensure_started", lambda: None).start()
    return limit


def test_processes_count_together() -> None:
    import falcon

    limit = quiet(RateLimit(Elsewhere()))
    limit.take("key", "alice", 5)
    limit.sync()
    with pytest.raises(falcon.HTTPTooManyRequests):
        limit.take("key", "alice", 5)
    limit.take("key", "charlie", 5)


def test_during_a_redis_outage_requests_pass_and_are_counted() -> None:
    limit = quiet(RateLimit(Gone()))
    before = REGISTRY.get_sample_value("matchback_rate_unshared_requests_total") or 0
    for _ in range(4):
        limit.take("key", "alice", 5)
    limit.sync()
    limit.take("key", "alice", 5)
    after = REGISTRY.get_sample_value("matchback_rate_unshared_requests_total")
    assert after == before + 4


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # no trust in an unknown proxy
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # only the right part is trusted
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("::ffff:10.0.0.1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "", "2001:db8:1:2::/64"),
        ("", "", ""),
    ],
)
def test_only_trusted_proxies_set_the_client_address(
    monkeypatch: pytest.MonkeyPatch, peer: str, forwarded: str, counted: str
) -> None:
    config = Settings.from_env({"MATCHBACK_TRUSTED_PROXIES": "10.0.0.0/8"})
    monkeypatch.setattr("service.middleware.client_address.get_settings", lambda: config)
    assert find_untrusted_address(peer, forwarded.split(",")) == counted


def test_processes_share_a_limit_over_redis(stack: Stack) -> None:
    """Two web processes of a real stack share one limit, within a fifth of a second."""
    from tools.testbed.cast import create_university

    stack.kill("web")
    stack.environment["MATCHBACK_KEY_REQUESTS_A_MINUTE"] = "30"
    stack.start_web()
    alice = create_university("Alice's University", stack.api())

    def asks() -> int:
        time.sleep(0.01)
        # Use a new connection, so that either process may respond.
        return alice.call("GET", "/v1/users", headers={"Connection": "close"}).status

    # Each process learns the other's count shortly after a request of its own.
    wait_until(lambda: {asks() for _ in range(10)} == {429}, "both at the limit", 20)
    metrics = alice.api.call("GET", "/metrics").content.decode()
    refused = next(
        line
        for line in metrics.splitlines()
        if line.startswith("matchback_rate_limited_requests_t")
    )
    assert float(refused.rsplit(" ", 1)[1]) >= 11
