"""The command line, on the real database."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from bson import ObjectId
from click.testing import CliRunner, Result
from falcon import testing
from mongoengine import get_db

from config import database
from documents import trouble
from documents.clock import now
from documents.lease import Lease
from jobs import recounting
from jobs.sweep import sweep
from service.cli import main
from tests.cast import Api, University, university


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    # The commands connect by themselves: to the test's database, which is connected already.
    monkeypatch.setattr("config.database.connect", database.client)
    return university("Alice's University", Api.in_process(real_client))


def matchback(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_an_organization_is_created_with_an_admin_key(alice: University) -> None:
    made = json.loads(matchback("org", "create", "My University", "--json").stdout)
    assert made.keys() == {"organization_id", "api_key"}
    place = University(made["organization_id"], made["api_key"], alice.api)
    assert place.get("/v1/api-keys")["data"][0]["scopes"] == ["admin"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_a_name_that_is_none_is_a_sentence(alice: University, name: str) -> None:
    result = matchback("org", "create", name)
    assert (result.exit_code, result.stderr) == (1, "Error: A name is 1 to 200 characters.\n")


def test_a_key_is_created_with_its_scopes(alice: University) -> None:
    result = matchback("key", "create", alice.id, "--scope", "read", "--json")
    reader = University(alice.id, json.loads(result.stdout)["api_key"], alice.api)
    assert reader.call("GET", "/v1/users").status == 200
    assert reader.call("POST", "/v1/users", {}).status == 403
    assert matchback("key", "create", "f" * 24).exit_code == 1


def test_recount_tells_and_repairs(alice: University) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    alice.gift(spring)
    sweep()
    assert (matchback("recount").exit_code, matchback("recount").stdout) == (0, "0 counters off\n")
    get_db().fundraisers.update_one({"_id": ObjectId(spring)}, {"$inc": {"raised.USD": 1}})
    told = matchback("recount")
    assert told.exit_code == 1
    assert f"fundraisers {spring} raised.USD: says 2501, is 2500\n1 counters off\n" in told.stdout
    assert matchback("recount", "--fundraiser", autumn).stdout == "0 counters off\n"
    line = json.loads(matchback("recount", "--fundraiser", spring, "--json").stdout)
    assert (line["field"], line["says"], line["right"]) == ("raised.USD", "2501", "2500")
    mended = matchback("recount", "--fundraiser", spring, "--repair")
    assert mended.exit_code == 0
    assert matchback("recount").stdout == "0 counters off\n"
    assert matchback("recount", "--fundraiser", "x").exit_code == 2


def test_one_repair_at_a_time(alice: University, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("documents.lease._holder", lambda: "another:1")
        assert Lease.take("repair", timedelta(minutes=1))
    result = matchback("recount", "--repair")
    assert result.exit_code == 1
    assert "Another repair is under way" in result.stderr
    assert matchback("recount").exit_code == 0


def test_failed_jobs_are_listed_and_tried_again(alice: University) -> None:
    gift = alice.gift(alice.fundraiser())
    failed = {"tries": trouble.TRIES, "error": "TypeError", "failed_at": now()}
    get_db().donations.update_one({}, {"$set": {"trouble": failed}, "$unset": {"due": ""}})
    assert matchback("jobs", "failed").stdout == f"{gift}  update_email_donation  TypeError\n"
    assert json.loads(matchback("jobs", "failed", "--json").stdout)["tries"] == trouble.TRIES
    assert matchback("jobs", "retry").exit_code == 2
    assert matchback("jobs", "retry", "f" * 24).exit_code == 1
    assert matchback("jobs", "retry", "--all").stdout == "1 to be tried again\n"
    assert matchback("jobs", "failed").stdout == ""
    assert sweep() == 1


def test_what_a_recount_found_is_a_metric(alice: University) -> None:
    alice.fundraiser()
    get_db().fundraisers.update_one({}, {"$inc": {"donors": 1}})
    while recounting.step():
        pass
    metrics = alice.api.call("GET", "/metrics").content.decode()
    assert "matchback_counters_off 1.0" in metrics


def test_a_folder_where_nothing_is_up_is_not_another_database(
    alice: University, tmp_path: Path
) -> None:
    result = matchback("org", "create", "Wrong", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert f"Nothing is up in {tmp_path}" in result.stderr
    assert get_db().organizations.count_documents({}) == 1


def test_a_standalone_server_is_refused_by_every_command(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    def standalone(mongo: object) -> list[str]:
        raise database.DeploymentError("start mongod with --replSet")

    monkeypatch.setattr("config.database.check_deployment", standalone)
    for words in (("org", "create", "U"), ("recount",), ("serve",)):
        result = matchback(*words)
        assert (result.exit_code, "--replSet" in result.stderr) == (1, True), words


def test_every_command_has_help() -> None:
    for words in ((), ("up",), ("org",), ("org", "create"), ("recount",), ("jobs", "retry")):
        result = matchback(*words, "--help")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) > 5
