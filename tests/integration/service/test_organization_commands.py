"""`matchback org`: list, show, export and delete."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config import database
from documents.access.audit import AuditEntry, link_finished_acts
from documents.access.staff import Staff
from documents.mail.invitation import send_invitation
from documents.mail.password_mails import request_password_reset
from documents.organization import Organization
from documents.organizations import export
from documents.organizations.deletion_request import request_deletion
from documents.organizations.secrets import LEFT_OUT
from tests.integration.documents.organizations.furnished import find_traces, furnish_fully
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university
from tools.testbed.command_line import run_matchback

HOSTILE_NAMES = ["a/b/../c", 'it\'s "quoted"', "two\nlines", "\x1b[31mred", "名前 ü", "-x"]


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    monkeypatch.setattr("config.database.connect_database", database.get_client)
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def charlie(alice: University) -> University:
    return create_university("Charlie's University", alice.api)


def in_deletion() -> list[str]:
    return [str(one.id) for one in Organization.objects(deleting_at__ne=None)]


def test_list_counts_staff_and_fundraisers(alice: University, charlie: University) -> None:
    alice.fundraiser()
    Staff.add(ObjectId(alice.id), "Eve", "eve@example.edu", "viewer")
    first, second = json.loads(run_matchback("org", "list", "--json").stdout)
    assert first.pop("created_at")
    assert first == {
        "id": alice.id,
        "name": "Alice's University",
        "staff": 1,
        "fundraisers": 1,
        "deleting_at": None,
    }
    assert (second["id"], second["staff"], second["fundraisers"]) == (charlie.id, 0, 0)
    text = run_matchback("org", "list").stdout
    assert alice.id in text
    assert charlie.id in text


def test_show_has_settings_staff_and_providers_but_no_secret(alice: University) -> None:
    furnish_fully(alice, "zelda")
    told = run_matchback("org", "show", "Alice's University", "--json").stdout
    shown = json.loads(told)
    assert shown["settings"]["time_zone"] == "UTC"
    assert [one["role"] for one in shown["staff"]] == ["admin"]
    assert shown["providers"] == ["sendgrid", "stripe"]
    assert shown["counts"]["fundraisers"] == 1
    assert shown["last_activity_at"]
    check_no_secrets(alice, told)
    text = run_matchback("org", "show", alice.id).stdout
    assert "zelda@staff.example.edu" in text
    check_no_secrets(alice, text)


def check_no_secrets(place: University, text: str) -> None:
    """Check that the text has no key, no digest and no sealed secret of the organization."""
    own = {"organization_id": ObjectId(place.id)}
    secrets = {place.key}
    for name, fields in {
        "api_keys": ("digest",),
        "webhook_keys": ("keys",),
        "webhook_endpoints": ("secret",),
        "staff_sessions": ("_id",),
        "sign_in_links": ("_id",),
    }.items():
        for row in get_db()[name].find(own):
            for field in fields:
                value = row.get(field) or ()
                secrets |= {value} if isinstance(value, str) else {str(one) for one in value}
    assert len(secrets) > 4
    assert [one for one in secrets if one in text] == []


def test_export_writes_all_collections_with_a_manifest(
    alice: University, charlie: University, tmp_path: Path
) -> None:
    furnish_fully(alice, "zelda")
    furnish_fully(charlie, "charlie")
    folder = tmp_path / "export"
    result = run_matchback("org", "export", alice.id, "--to", str(folder))
    assert result.exit_code == 0, result.output
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["organization_id"] == alice.id
    files = {path.name for path in folder.iterdir()}
    assert files == {*manifest["files"], "manifest.json"}
    for name, told in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert told["sha256"] == hashlib.sha256(content).hexdigest()
        assert told["rows"] == len(content.splitlines())
        assert told["bytes"] == len(content)
        stored = name.removesuffix(".ndjson")
        owner = "_id" if stored == "organizations" else "organization_id"
        assert told["rows"] == get_db()[stored].count_documents({owner: ObjectId(alice.id)}), name
    whole = "".join(path.read_text() for path in folder.iterdir())
    assert charlie.id not in whole
    check_no_secrets(alice, whole)
    (gift, *_) = read_lines(folder / "donations.ndjson")
    assert gift["external_id"] == "gift-1"
    assert gift["organization_id"] == alice.id
    assert gift["donated_at"].endswith("Z")
    assert {"staff_sessions", "sign_in_links"} <= LEFT_OUT.keys()
    assert folder.stat().st_mode & 0o077 == 0
    link_finished_acts()
    assert AuditEntry.last(ObjectId(alice.id)).action == "org export"  # type: ignore[union-attr]


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_interrupted_export_is_never_taken_for_a_complete_one(
    alice: University, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "export"
    with monkeypatch.context() as broken:
        broken.setattr(export, "_write_manifest", fail)
        failed = run_matchback("org", "export", alice.id, "--to", str(folder))
    assert failed.exit_code == 1
    assert "No space left on device" in failed.output
    assert not folder.exists()
    again = run_matchback("org", "export", alice.id, "--to", str(folder))
    assert again.exit_code == 1
    assert "export.partial exists. Remove it" in again.output


def test_an_export_never_overwrites_a_folder(alice: University, tmp_path: Path) -> None:
    result = run_matchback("org", "export", alice.id, "--to", str(tmp_path))
    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_delete_asks_for_the_name(alice: University) -> None:
    assert run_matchback("org", "delete", alice.id, said="no\n").exit_code == 1
    assert in_deletion() == []
    result = run_matchback("org", "delete", alice.id, said="Alice's University\n")
    assert result.exit_code == 0, result.output
    assert in_deletion() == [alice.id]
    (row,) = json.loads(run_matchback("org", "list", "--json").stdout)
    assert row["deleting_at"]


def test_delete_takes_the_name_from_a_script(alice: University) -> None:
    wrong = run_matchback("org", "delete", alice.id, "--confirm", "Alice")
    assert wrong.exit_code == 1
    assert "Nothing was deleted" in wrong.output
    for _ in range(2):  # the second one changes nothing
        right = run_matchback("org", "delete", alice.id, "--confirm", "Alice's University")
        assert right.exit_code == 0
        assert "is in deletion since" in right.output
    assert in_deletion() == [alice.id]


def test_a_name_of_two_organizations_needs_the_id(alice: University) -> None:
    other = create_university("Alice's University", alice.api)
    for command in (["show"], ["delete", "--confirm", "Alice's University"]):
        result = run_matchback("org", *command, "Alice's University")
        assert result.exit_code == 1
        assert alice.id in result.output
        assert other.id in result.output
    assert in_deletion() == []
    run_matchback("org", "delete", other.id, "--confirm", "Alice's University")
    assert in_deletion() == [other.id]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_with_any_characters_can_be_confirmed(alice: University, name: str) -> None:
    place = Organization.create(name)
    shown = run_matchback("org", "list").stdout + run_matchback("org", "show", str(place.id)).stdout
    assert "\x1b" not in shown
    asked = run_matchback("org", "delete", str(place.id), said="no\n").output
    assert "\x1b" not in asked
    typed = next(line for line in asked.splitlines() if str(place.id) in line).split("data: ")[1]
    result = run_matchback("org", "delete", str(place.id), said=f"{typed}\n")
    assert result.exit_code == 0, result.output
    assert in_deletion() == [str(place.id)]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_an_export_of_a_hostile_name_stays_in_its_folder(
    alice: University, name: str, tmp_path: Path
) -> None:
    place = Organization.create(name)
    folder = tmp_path / "out"
    assert run_matchback("org", "export", str(place.id), "--to", str(folder)).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert read_lines(folder / "organizations.ndjson")[0]["name"] == place.name


def test_a_name_that_is_the_id_of_another_means_the_other(alice: University) -> None:
    Organization.create(alice.id)
    assert json.loads(run_matchback("org", "show", alice.id, "--json").stdout)["name"] != alice.id


@pytest.mark.parametrize(
    "command", [["show"], ["export", "--to", "x"], ["delete", "--confirm", "x"]]
)
def test_a_missing_organization_is_reported(alice: University, command: list[str]) -> None:
    for missing in (UNKNOWN_ID, "Nobody's University"):
        result = run_matchback("org", *command, missing)
        assert result.exit_code == 1
        assert "not found" in result.output


@pytest.mark.parametrize(
    ("prompt", "command"),
    [
        ("staff.ask_password", "staff add eve@example.edu --password"),
        ("webhook_keys._read_key", "webhook-key set --provider stripe"),
    ],
)
def test_a_command_that_waits_for_input_during_a_deletion_stores_nothing(
    alice: University, monkeypatch: pytest.MonkeyPatch, prompt: str, command: str
) -> None:
    def ask(*_: object) -> str:
        request_deletion(Organization.named(alice.id))
        return "correct horse battery"

    monkeypatch.setattr(f"service.commands.{prompt}", ask)
    assert run_matchback(*command.split(), "--organization", alice.id).exit_code != 0
    assert find_traces("eve@example.edu") == []
    assert get_db().webhook_keys.find_one() is None


def test_an_export_does_not_show_that_a_person_belongs_elsewhere(
    alice: University, charlie: University, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The time in the ID of Eve's account would be earlier than her membership."""
    monkeypatch.setattr("documents.mail.mail.has_mail_server", lambda: True)
    Staff.add(ObjectId(charlie.id), "Eve", "eve@example.edu", "viewer")
    eve = Staff.add(ObjectId(alice.id), "Eve", "eve@example.edu", "viewer")
    eve.note_sign_in()
    request_password_reset("eve@example.edu")
    send_invitation(eve)
    folder = tmp_path / "export"
    export.export_organization(Organization.named(alice.id), folder, lambda *_: None)
    assert str(eve.id) in (folder / "mails.ndjson").read_text()
    assert str(eve.account_id) not in "".join(path.read_text() for path in folder.iterdir())
