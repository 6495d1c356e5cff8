"""What is asked of the MongoDB server, on real servers."""

from pathlib import Path

import pytest
from falcon import testing

from config.database import Client, DeploymentError, check_deployment, client
from service.local import servers
from service.local.supervisor import Supervisor
from tools.testbed.stack import Servers


def test_our_own_server_is_as_it_should_be(real_servers: Servers) -> None:
    with Client(servers.mongodb_uri(real_servers.mongodb_port)) as mongo:
        assert check_deployment(mongo) == []


def test_long_transactions_are_warned_of(real_servers: Servers) -> None:
    with Client(servers.mongodb_uri(real_servers.mongodb_port)) as mongo:
        name = "transactionLifetimeLimitSeconds"
        mongo.admin.command({"setParameter": 1, name: 60})
        try:
            (warning,) = check_deployment(mongo)
        finally:
            mongo.admin.command({"setParameter": 1, name: servers.TRANSACTION_SECONDS})
    assert "Set it to 3" in warning


def test_readiness_tells_of_long_transactions(real_client: testing.TestClient) -> None:
    name = "transactionLifetimeLimitSeconds"
    assert real_client.simulate_get("/readyz").json["warnings"] == []
    client().admin.command({"setParameter": 1, name: 60})
    try:
        answer = real_client.simulate_get("/readyz")
    finally:
        client().admin.command({"setParameter": 1, name: servers.TRANSACTION_SECONDS})
    assert answer.status_code == 200
    assert name in answer.json["warnings"][0]


def test_readiness_refuses_a_standalone_server(
    real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def standalone(mongo: object) -> list[str]:
        raise DeploymentError("start mongod with --replSet")

    monkeypatch.setattr("service.api.resources.system.check_deployment", standalone)
    answer = real_client.simulate_get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (503, "not ready")
    assert "--replSet" in answer.json["reason"]


def test_a_standalone_server_is_refused_with_what_to_do(tmp_path: Path) -> None:
    supervisor = Supervisor(say=lambda text: None)
    port = servers.free_port()
    part = servers.mongodb_part(tmp_path, port)
    replica_set = list(part.command).index("--replSet")
    part.command = [*part.command[:replica_set], *part.command[replica_set + 2 :]]
    try:
        supervisor.start(part)
        with (
            Client(servers.LOOPBACK, port) as mongo,
            pytest.raises(DeploymentError, match="--replSet"),
        ):
            check_deployment(mongo)
    finally:
        supervisor.stop()
