"""A replica set of three: data that only the primary has does not count as stored yet."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import mongoengine
import pytest
from falcon import testing
from pymongo.errors import OperationFailure

from config import database
from config.database import DatabaseClient
from config.settings import get_settings
from documents.migrations.indexes import update_indexes
from service.app import create_app
from service.local.servers import LOOPBACK_ADDRESS
from tools.chaos.cluster import Cluster
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.stack import wait_until

COMMAND_FAILED = 125


@pytest.fixture
def cluster(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Start three nodes, and connect this process to them."""
    cluster = Cluster(memory_path, seed=1)
    try:
        cluster.start()
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        mongoengine.disconnect_all()
        database.connect_database()
        update_indexes()
        yield cluster
    finally:
        mongoengine.disconnect_all()
        cluster.stop()
        get_settings.cache_clear()


@pytest.fixture
def alice(cluster: Cluster, wakeups: list[tuple[str, str]]) -> University:
    return create_university("Alice's University", Api.in_process(testing.TestClient(create_app())))


@contextmanager
def lagging(cluster: Cluster) -> Iterator[None]:
    """Stop replication to the secondaries, which continue otherwise."""
    primary = cluster.primary()
    with ExitStack() as held:
        for number, port in enumerate(cluster.mongodb_ports):
            if primary != f"MongoDB {number}":
                node = held.enter_context(
                    DatabaseClient(LOOPBACK_ADDRESS, port, directConnection=True)
                )
                wait_until(partial(_locked, node), "the secondary can be locked")
                held.callback(node.admin.command, "fsyncUnlock")
        yield


def _locked(node: DatabaseClient) -> bool:
    """Lock a secondary. Return False for a new member without data for a checkpoint."""
    try:
        node.admin.command("fsync", lock=True)
    except OperationFailure as error:
        if error.code != COMMAND_FAILED:
            raise
        return False
    return True


def depose(cluster: Cluster) -> None:
    """Depose the primary, even if the others are behind."""
    name = cluster.primary()
    assert name
    port = cluster.mongodb_ports[int(name.split()[1])]
    with DatabaseClient(LOOPBACK_ADDRESS, port, directConnection=True) as mongo:
        mongo.admin.command({"replSetStepDown": 3, "force": True})


def test_a_gift_without_a_majority_is_not_reported_as_deleted(
    alice: University, cluster: Cluster
) -> None:
    """A client sends the same gift twice while the secondaries lag.

    Both responses name the one gift.
    """
    body = {"amount": 100, "currency": "USD", "donor": BOB, "external_id": "one"}
    body["fundraiser_id"] = alice.fundraiser()
    answered = threading.Event()
    with ThreadPoolExecutor(2) as clients:
        with lagging(cluster):
            posts = [clients.submit(alice.call, "POST", "/v1/donations", body) for _ in range(2)]
            for post in posts:
                post.add_done_callback(lambda _: answered.set())
            assert not answered.wait(1), "answered before a majority had it"
        answers = [post.result() for post in posts]
    assert sorted(answer.status for answer in answers) == [200, 201]
    assert len({answer.json["id"] for answer in answers}) == 1


def test_a_gift_that_is_rolled_back_is_not_reported_as_deleted(
    alice: University, cluster: Cluster
) -> None:
    """The primary is deposed while both wait. Each gets the truth, or a request to retry."""
    body = {"amount": 100, "currency": "USD", "donor": BOB, "external_id": "one"}
    body["fundraiser_id"] = alice.fundraiser()
    with ThreadPoolExecutor(2) as clients, lagging(cluster):
        posts = [clients.submit(alice.call, "POST", "/v1/donations", body) for _ in range(2)]
        threading.Event().wait(1)
        depose(cluster)
    assert {post.result().status for post in posts} <= {200, 201, 503}
    answers = [alice.call("POST", "/v1/donations", body) for _ in range(2)]
    assert {answer.status for answer in answers} <= {200, 201}
    assert len({answer.json["id"] for answer in answers}) == 1
