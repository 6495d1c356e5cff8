"""The command line, on the real database."""

import ast
import inspect
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import click
import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config import database
from documents.access import audit as auditing
from documents.concurrency import retries
from documents.concurrency.lease import hold_lease
from documents.values.time import now
from jobs.periodic import recount as recounting
from jobs.sweep import sweep_due_records
from service.cli import main
from service.commands import tables
from tools.testbed.cast import Api, University, create_university
from tools.testbed.command_line import run_matchback


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    # Keep the connection to the test's database, because commands connect by themselves.
    monkeypatch.setattr("config.database.connect_database", database.get_client)
    return create_university("Alice's University", Api.in_process(real_client))


def test_an_organization_is_created_with_an_admin_key(alice: University) -> None:
    made = json.loads(run_matchback("org", "create", "My University", "--json").stdout)
    assert made.keys() == {"organization_id", "api_key"}
    place = University(made["organization_id"], made["api_key"], alice.api)
    assert place.get("/v1/api-keys")["data"][0]["scopes"] == ["admin"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_an_invalid_name_is_reported_in_a_sentence(alice: University, name: str) -> None:
    result = run_matchback("org", "create", name)
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: The name must have 1 to 200 characters.\n",
    )


def test_the_locale_of_an_organization_is_set(alice: University) -> None:
    created = run_matchback("org", "create", "Uni", "--locale", "de-AT", "--json").stdout
    made = json.loads(created)
    place = University(made["organization_id"], made["api_key"], alice.api)
    assert place.get("/v1/organization")["locale"] == "de-AT"
    result = run_matchback("org", "set-locale", place.id, "fr-fr")
    assert result.stdout == f"Organization {place.id} uses fr-FR.\n"
    assert place.get("/v1/organization")["locale"] == "fr-FR"
    wrong = run_matchback("org", "set-locale", place.id, "xx")
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("Error: The locale is unknown.")


def test_a_key_is_created_with_its_scopes(alice: University) -> None:
    result = run_matchback("key", "create", alice.id, "--scope", "read", "--json")
    reader = University(alice.id, json.loads(result.stdout)["api_key"], alice.api)
    assert reader.call("GET", "/v1/users").status == 200
    assert reader.call("POST", "/v1/users", {}).status == 403
    assert run_matchback("key", "create", "f" * 24).exit_code == 1


def test_recount_reports_and_repairs(alice: University) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    alice.gift(spring)
    sweep_due_records()
    assert (run_matchback("recount").exit_code, run_matchback("recount").stdout) == (
        0,
        "Incorrect counters: 0\n",
    )
    get_db().fundraisers.update_one({"_id": ObjectId(spring)}, {"$inc": {"raised.USD": 1}})
    told = run_matchback("recount")
    assert told.exit_code == 1
    assert (
        f"fundraisers {spring} raised.USD: stored 2501, expected 2500\nIncorrect counters: 1\n"
        in told.stdout
    )
    assert run_matchback("recount", "--fundraiser", autumn).stdout == "Incorrect counters: 0\n"
    line = json.loads(run_matchback("recount", "--fundraiser", spring, "--json").stdout)
    assert (line["field"], line["says"], line["right"]) == ("raised.USD", "2501", "2500")
    mended = run_matchback("recount", "--fundraiser", spring, "--repair")
    assert mended.exit_code == 0
    assert run_matchback("recount").stdout == "Incorrect counters: 0\n"
    assert run_matchback("recount", "--fundraiser", "x").exit_code == 2


def test_only_one_repair_runs_at_a_time(alice: University) -> None:
    with hold_lease("repair") as holding:
        assert holding is not None
        result = run_matchback("recount", "--repair")
        assert result.exit_code == 1
        assert "Another repair is running" in result.stderr
        assert run_matchback("recount").exit_code == 0
    assert run_matchback("recount", "--repair").exit_code == 0


def test_failed_jobs_are_listed_and_retried(alice: University) -> None:
    gift = alice.gift(alice.fundraiser())
    failed = {"tries": retries.MAX_ATTEMPTS, "error": "TypeError", "failed_at": now()}
    get_db().donations.update_one({}, {"$set": {"trouble": failed}, "$unset": {"due": ""}})
    assert run_matchback("jobs", "failed").stdout == f"{gift}  update_email_donation  TypeError\n"
    [told] = json.loads(run_matchback("jobs", "failed", "--json").stdout)
    job = {"id": gift, "job": "update_email_donation", "error": "TypeError"}
    assert told == {**job, "tries": retries.MAX_ATTEMPTS}
    assert run_matchback("jobs", "retry").exit_code == 2
    assert run_matchback("jobs", "retry", "f" * 24).exit_code == 1
    assert run_matchback("jobs", "retry", "--all").stdout == "Jobs to retry: 1\n"
    assert run_matchback("jobs", "failed").stdout == ""
    assert json.loads(run_matchback("jobs", "failed", "--json").stdout) == []
    assert sweep_due_records() == 1


def test_audit_verification_has_json_output(alice: University) -> None:
    run_matchback("key", "create", alice.id)
    auditing.link_finished_acts()
    [chain] = json.loads(
        run_matchback("audit", "verify", "--organization", alice.id, "--json").stdout
    )
    assert (chain["organization_id"], chain["broken_at"]) == (alice.id, None)
    get_db().audit.update_one({"action": "key create"}, {"$set": {"action": "nothing"}})
    result = run_matchback("audit", "verify", "--json")
    assert result.exit_code == 1
    assert any(chain["broken_at"] for chain in json.loads(result.stdout))


def test_the_staff_list_has_json_output(alice: University) -> None:
    for name in ("bob", "carol"):
        run_matchback("staff", "add", f"{name}@example.edu", "--organization", alice.id)
    words = ("staff", "list", "--organization", alice.id)
    told = json.loads(run_matchback(*words, "--json").stdout)
    assert [one["role"] for one in told] == ["viewer", "viewer"]
    assert told[0].keys() == {"id", "email", "name", "role", "last_sign_in"}
    first, _ = run_matchback(*words).stdout.splitlines()
    assert first == "bob@example.edu  viewer  bob@example.edu  never"


def test_a_recounts_findings_are_a_metric(alice: University) -> None:
    alice.fundraiser()
    get_db().fundraisers.update_one({}, {"$inc": {"donors": 1}})
    while recounting.step():
        pass
    metrics = alice.api.call("GET", "/metrics").content.decode()
    assert "matchback_counters_off 1.0" in metrics


def test_a_folder_without_a_running_service_is_an_error(alice: University, tmp_path: Path) -> None:
    result = run_matchback("org", "create", "Wrong", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert f"No deployment runs in {tmp_path}" in result.stderr
    assert get_db().organizations.count_documents({}) == 1


def test_every_command_rejects_a_standalone_server(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    def standalone(mongo: object) -> list[str]:
        raise database.DeploymentError("start mongod with --replSet")

    monkeypatch.setattr("config.database.check_deployment", standalone)
    for words in (("org", "create", "U"), ("recount",), ("serve",)):
        result = run_matchback(*words)
        assert (result.exit_code, "--replSet" in result.stderr) == (1, True), words


def test_every_command_has_help() -> None:
    for words in ((), ("up",), ("org",), ("org", "create"), ("recount",), ("jobs", "retry")):
        result = run_matchback(*words, "--help")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) > 5


def commands(group: click.Group = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Return every command, by its words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def called_by(command: click.Command) -> list[ast.FunctionDef]:
    """Return a command's function, and the functions of its module that it calls at any depth."""
    assert command.callback
    own = inspect.unwrap(command.callback)
    module = ast.parse(Path(inspect.getfile(own)).read_text())
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    found, names = [], [own.__name__]
    while names:
        function = functions.pop(names.pop(), None)
        if function is not None:
            found.append(function)
            names += [node.id for node in ast.walk(function) if isinstance(node, ast.Name)]
    return found


def prints_a_list(function: ast.FunctionDef) -> bool:
    """Return whether the command prints a table, or line after line to standard output."""

    def echoes(call: ast.AST) -> bool:
        if not (isinstance(call, ast.Call) and ast.unparse(call.func) in ("click.echo", "print")):
            return False
        return not any(keyword.arg == "err" for keyword in call.keywords)

    loops = [node for node in ast.walk(function) if isinstance(node, ast.For | ast.While)]
    by_hand = any(echoes(node) for loop in loops for node in ast.walk(loop))
    called = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    return by_hand or bool(
        called & {"print_table", "print_array", "print_query_result", "print_values"}
    )


def test_every_command_that_prints_a_list_or_values_offers_json() -> None:
    found = set()
    for words, command in commands():
        if any(map(prints_a_list, called_by(command))):
            found.add(words)
            options = {name for option in command.params for name in option.opts}
            assert "--json" in options, f"`{words}` prints output for programs"
    assert found >= {"jobs failed", "staff list", "audit verify", "recount", "rematch"}
    assert found >= {f"warehouse {word}" for word in ("sql", "status", "backfill", "verify")}
    assert {"jobs retry", "serve", "erase"}.isdisjoint(found)


def test_only_one_module_draws_tables() -> None:
    folder = Path(inspect.getfile(tables)).parent
    drawing = {path.name for path in folder.rglob("*.py") if "rich.table" in path.read_text()}
    assert drawing == {"tables.py"}


def test_json_has_every_row_and_a_table_the_first_thousand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def rows() -> Iterator[tuple[int, date]]:
        return ((number, date(2026, 11, 26)) for number in range(tables.MAX_ROWS_SHOWN + 1))

    tables.print_query_result(["n", "day"], rows(), as_json=True)
    told = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert len(told) == tables.MAX_ROWS_SHOWN + 1
    assert told[-1] == {"n": 1000, "day": "2026-11-26"}
    tables.print_query_result(["n", "day"], rows(), as_json=False)
    shown = capsys.readouterr().out
    assert "│ 999 " in shown
    assert "│ 1000" not in shown
    assert shown.endswith("Only the first 1,000 rows are shown. Use --json to print all.\n")


def test_a_list_on_a_terminal_is_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    tables.print_table(["id", "error"], [{"id": "a" * 24, "error": "[red]", "tries": 5}])
    shown = capsys.readouterr().out
    assert "a" * 24 in shown
    assert "[red]" in shown
    assert "error" in shown
    assert "tries" not in shown
