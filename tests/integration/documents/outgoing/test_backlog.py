"""The lag of delivery, the end of old deliveries, and new master keys."""

from datetime import datetime, timedelta

import pytest
from bson import ObjectId
from cryptography.fernet import Fernet
from mongoengine import get_db

from config.settings import get_settings
from documents.outgoing import delivery_lag
from documents.outgoing.delivery_lag import measure_delivery_lag
from documents.outgoing.due_deliveries import find_all_due, find_recently_due
from documents.outgoing.event_delivery import build_delivery_rows
from documents.outgoing.retention import drop_deliveries_of_deleted
from documents.outgoing.signing_secret import open_endpoint_secrets
from documents.outgoing.webhook_endpoint import WebhookEndpoint, list_subscribed
from documents.privacy.retention import drop_event_deliveries
from documents.storage.resealing import reseal_records
from documents.storage.sealed import UnsealableSecret
from documents.values.time import now

pytestmark = pytest.mark.usefixtures("real_database")
OLD_KEY, NEW_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def set_master_keys(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", ",".join(keys))
    get_settings.cache_clear()


@pytest.fixture(autouse=True)
def _sealed(real_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_master_keys(monkeypatch, OLD_KEY)


def add_endpoint() -> WebhookEndpoint:
    endpoint, _ = WebhookEndpoint.add(ObjectId(), "https://crm.example.edu/hook")
    return endpoint


def add_event(endpoint: WebhookEndpoint, due: datetime | None = None) -> ObjectId:
    (row,) = build_delivery_rows(
        list_subscribed(endpoint.organization_id, get_db()),
        "import.finished",
        {},
        organization_id=endpoint.organization_id,
        record_id=ObjectId(),
        version=1,
    )
    id_: ObjectId = row["_id"]
    get_db().event_deliveries.insert_one(row | ({"next_attempt_at": due} if due else {}))
    return id_


def ago(seconds: float) -> datetime:
    return now() - timedelta(seconds=seconds)


def set_failing(endpoint: WebhookEndpoint) -> None:
    change = {"$set": {"failing_since": now()}}
    get_db().webhook_endpoints.update_one({"_id": endpoint.id}, change)


def test_without_events_there_is_no_lag() -> None:
    found = measure_delivery_lag()
    assert (found.lag_seconds, found.pending, found.failing_endpoints) == (0.0, 0, 0)


def test_the_lag_is_that_of_the_oldest_event_of_a_healthy_endpoint() -> None:
    healthy, failing = add_endpoint(), add_endpoint()
    set_failing(failing)
    add_event(failing, ago(1000))
    assert measure_delivery_lag().lag_seconds == 0.0
    add_event(healthy, now() + timedelta(seconds=100))
    assert measure_delivery_lag().lag_seconds == 0.0
    add_event(healthy, ago(50))
    add_event(healthy, ago(40))
    found = measure_delivery_lag()
    assert 50 <= found.lag_seconds < 100
    assert (found.pending, found.failing_endpoints) == (4, 1)


def test_the_lag_is_correct_behind_a_long_backlog_of_a_failing_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery_lag, "MAX_INSPECTED_DELIVERIES", 3)
    healthy, failing = add_endpoint(), add_endpoint()
    set_failing(failing)
    for _ in range(4):
        add_event(failing, ago(1000))
    add_event(healthy, ago(50))
    assert 50 <= measure_delivery_lag().lag_seconds < 100


def test_the_lag_needs_no_search_of_all_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_lag, "find_all_due", None)
    healthy, failing = add_endpoint(), add_endpoint()
    set_failing(failing)
    add_event(failing, ago(1000))
    assert measure_delivery_lag().lag_seconds == 0.0
    add_event(healthy, ago(50))
    assert 50 <= measure_delivery_lag().lag_seconds < 100


def test_both_searches_find_due_events_only() -> None:
    recent, old, future = add_endpoint(), add_endpoint(), add_endpoint()
    add_event(recent, ago(1))
    add_event(old, ago(1000))
    add_event(future, now() + timedelta(seconds=100))
    assert find_recently_due(ago(10), now()) == {recent.id}
    assert set(find_all_due(now())) == {recent.id, old.id}


def test_old_deliveries_are_dropped_unless_they_wait() -> None:
    endpoint = add_endpoint()
    delivered, waiting = add_event(endpoint), add_event(endpoint)
    change = {"$set": {"delivered_at": now()}, "$unset": {"next_attempt_at": ""}}
    get_db().event_deliveries.update_one({"_id": delivered}, change)
    assert drop_event_deliveries(ago(60)) == 0
    assert drop_event_deliveries(now() + timedelta(seconds=60)) == 1
    assert [row["_id"] for row in get_db().event_deliveries.find()] == [waiting]


def test_the_deliveries_of_a_deleted_endpoint_are_dropped() -> None:
    kept, deleted = add_endpoint(), add_endpoint()
    own = add_event(kept)
    add_event(deleted)
    deleted.mark_deleted()
    assert drop_deliveries_of_deleted() == 1
    assert drop_deliveries_of_deleted() == 0
    assert [row["_id"] for row in get_db().event_deliveries.find()] == [own]
    endpoints = get_db().webhook_endpoints
    assert "is_dropped" not in endpoints.find_one({"_id": deleted.id})
    endpoints.update_one({"_id": deleted.id}, {"$set": {"deleted_at": ago(2 * 3600)}})
    assert drop_deliveries_of_deleted() == 0
    assert endpoints.find_one({"_id": deleted.id})["is_dropped"] is True


def test_a_new_secret_signs_although_the_key_of_the_previous_one_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = add_endpoint()
    set_master_keys(monkeypatch, NEW_KEY)
    with pytest.raises(UnsealableSecret):
        open_endpoint_secrets(endpoint.to_mongo(), now())
    replaced, secret = endpoint.rotate_secret()
    assert open_endpoint_secrets(replaced.to_mongo(), now()) == [secret]
    assert replaced.previous_secret_until is None
    assert reseal_records(WebhookEndpoint) == 1


def test_secrets_are_sealed_again_with_a_new_master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, after = add_endpoint().rotate_secret()
    before = open_endpoint_secrets(endpoint.to_mongo(), now())[1]
    set_master_keys(monkeypatch, NEW_KEY, OLD_KEY)
    assert reseal_records(WebhookEndpoint) == 1
    set_master_keys(monkeypatch, NEW_KEY)
    reloaded = WebhookEndpoint.fetch(endpoint.organization_id, endpoint.id)
    assert open_endpoint_secrets(reloaded.to_mongo(), now()) == [after, before]
    assert open_endpoint_secrets(reloaded.to_mongo(), now() + timedelta(hours=25)) == [after]
