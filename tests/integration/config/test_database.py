"""Queries to the MongoDB server, on real servers."""

from pathlib import Path

import pytest
from falcon import testing

from config.database import DatabaseClient, DeploymentError, check_deployment, get_client
from service.local import servers
from service.local.supervisor import Supervisor
from tools.testbed.stack import Servers


def test_the_tests_own_server_passes_all_checks(real_servers: Servers) -> None:
    with DatabaseClient(servers.build_mongodb_uri(real_servers.mongodb_port)) as mongo:
        assert check_deployment(mongo) == []


def test_long_transactions_cause_a_warning(real_servers: Servers) -> None:
    with DatabaseClient(servers.build_mongodb_uri(real_servers.mongodb_port)) as mongo:
        name = "transactionLifetimeLimitSeconds"
        mongo.admin.command({"setParameter": 1, name: 60})
        try:
            (warning,) = check_deployment(mongo)
        finally:
            mongo.admin.command({"setParameter": 1, name: servers.TRANSACTION_LIFETIME_SECONDS})
    assert "Set it to 3" in warning


def test_readiness_reports_long_transactions(real_client: testing.TestClient) -> None:
    name = "transactionLifetimeLimitSeconds"
    assert real_client.simulate_get("/readyz").json["warnings"] == []
    get_client().admin.command({"setParameter": 1, name: 60})
    try:
        answer = real_client.simulate_get("/readyz")
    finally:
        get_client().admin.command({"setParameter": 1, name: servers.TRANSACTION_LIFETIME_SECONDS})
    assert answer.status_code == 200
    assert name in answer.json["warnings"][0]


def test_readiness_rejects_a_standalone_server(
    real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def standalone(mongo: object) -> list[str]:
        raise DeploymentError("start mongod with --replSet")

    monkeypatch.setattr("service.api.resources.system.check_deployment", standalone)
    answer = real_client.simulate_get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (503, "not ready")
    assert "--replSet" in answer.json["reason"]


def test_a_standalone_server_is_rejected_with_advice(tmp_path: Path) -> None:
    supervisor = Supervisor(say=lambda text: None)
    port = servers.find_free_port()
    part = servers.build_mongodb_part(tmp_path, port)
    replica_set = list(part.command).index("--replSet")
    part.command = [*part.command[:replica_set], *part.command[replica_set + 2 :]]
    try:
        supervisor.start(part)
        with (
            DatabaseClient(servers.LOOPBACK_ADDRESS, port) as mongo,
            pytest.raises(DeploymentError, match="--replSet"),
        ):
            check_deployment(mongo)
    finally:
        supervisor.stop()
