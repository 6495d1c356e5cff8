"""Rates without Redis, by choice: each process counts alone, and logs no warning."""

import logging
from pathlib import Path

import falcon
import pytest
from prometheus_client import REGISTRY

from config.settings import Settings
from service.middleware import rate_limit as module
from service.middleware.rate_limit import RateLimit


def test_without_redis_each_process_limits_alone_without_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = Settings.from_env({"MATCHBACK_QUEUE_URL": f"sqlite:///{tmp_path}/queue.db"})
    monkeypatch.setattr(module, "get_settings", lambda: config)
    limit = RateLimit()
    monkeypatch.setattr(limit._comparing, "ensure_started", lambda: None)
    before = REGISTRY.get_sample_value("matchback_rate_unshared_requests_total")
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            limit.take("key", "alice", 5)
            limit.sync()
    with pytest.raises(falcon.HTTPTooManyRequests):
        limit.take("key", "alice", 5)
    assert not caplog.records
    assert REGISTRY.get_sample_value("matchback_rate_unshared_requests_total") == before
