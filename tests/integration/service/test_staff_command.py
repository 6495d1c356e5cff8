"""`matchback staff`: who may sign in, managed from the command line."""

import json
from urllib.parse import urlsplit

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from config import database
from documents.access.audit import OpenAct
from documents.access.members import find_invitable
from documents.access.password_sign_in import sign_in_by_password
from documents.access.staff import Staff
from documents.organization import Organization
from tests.integration.documents.organizations.furnished import find_traces
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university
from tools.testbed.command_line import run_matchback
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, sign_in_staff

BOB = "bob@example.edu"


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    monkeypatch.setattr("config.database.connect_database", database.get_client)
    return create_university("Alice's University", Api.in_process(real_client))


def follow(client: testing.TestClient, told: str) -> tuple[Browser, str]:
    """Open the link that a command printed, and return where it leads."""
    link = urlsplit(told.rsplit(maxsplit=1)[-1])
    browser = Browser(client)
    browser.get(link.path, query_string=link.query)
    answer = browser.send(link.path, {"token": link.query.removeprefix("token=")})
    return browser, answer.headers.get("location", "")


def test_a_new_service_has_no_account(alice: University, real_client: testing.TestClient) -> None:
    assert get_db().accounts.count_documents({}) == 0
    assert get_db().staff.count_documents({}) == 0
    for name in ("admin", "root", "admin@example.edu", "alice@example.edu", ""):
        assert Browser(real_client).sign_in(name).status_code == 422


def test_a_new_person_gets_a_link_and_chooses_a_password(
    alice: University, real_client: testing.TestClient
) -> None:
    told = run_matchback("staff", "add", BOB, "--organization", alice.id, "--role", "admin").stdout
    browser, led_to = follow(real_client, told)
    assert led_to == "/dashboard/account"
    browser.get("/dashboard/account")
    assert browser.send("/dashboard/account", {"password": STAFF_PASSWORD}).status_code == 303
    assert Browser(real_client).sign_in(BOB).status_code == 303
    assert Staff.named(BOB).is_admin


def test_a_password_can_be_set_at_once(alice: University, real_client: testing.TestClient) -> None:
    said = f"{STAFF_PASSWORD}\n{STAFF_PASSWORD}\n"
    result = run_matchback("staff", "add", BOB, "--organization", alice.id, "--password", said=said)
    assert result.exit_code == 0
    assert STAFF_PASSWORD not in result.output
    assert Browser(real_client).sign_in(BOB).status_code == 303
    assert not Staff.named(BOB).is_admin


def test_a_forgotten_password_is_replaced_by_a_link_or_a_command(
    alice: University, real_client: testing.TestClient
) -> None:
    run_matchback("staff", "add", BOB, "--organization", alice.id)
    _, led_to = follow(real_client, run_matchback("staff", "link", BOB).stdout)
    assert led_to == "/dashboard/account"
    said = f"{STAFF_PASSWORD}\n{STAFF_PASSWORD}\n"
    assert run_matchback("staff", "password", BOB, said=said).exit_code == 0
    assert Browser(real_client).sign_in(BOB).status_code == 303


def test_staff_are_listed_and_removed(alice: University, real_client: testing.TestClient) -> None:
    run_matchback("staff", "add", BOB, "--organization", alice.id, "--name", "Bob")
    [listed] = json.loads(
        run_matchback("staff", "list", "--organization", alice.id, "--json").stdout
    )
    assert (listed["email"], listed["name"], listed["role"]) == (BOB, "Bob", "viewer")
    assert run_matchback("staff", "remove", BOB).exit_code == 0
    assert run_matchback("staff", "list", "--organization", alice.id).stdout == ""
    assert find_traces("bob") == []


def test_roles_change_and_the_last_admin_stays(
    alice: University, real_client: testing.TestClient
) -> None:
    run_matchback("staff", "add", BOB, "--organization", alice.id, "--role", "editor")
    assert Staff.named(BOB).can("editor")
    assert not Staff.named(BOB).is_admin
    assert run_matchback("staff", "role", BOB, "admin").exit_code == 0
    for arguments in (("role", BOB, "viewer"), ("remove", BOB)):
        result = run_matchback("staff", *arguments)
        assert result.exit_code == 1
        assert "last admin" in result.stderr
    run_matchback("staff", "add", "eve@example.edu", "--organization", alice.id, "--role", "admin")
    assert run_matchback("staff", "role", BOB, "viewer").exit_code == 0


def test_a_person_of_several_organizations_is_named_with_one(
    alice: University, real_client: testing.TestClient
) -> None:
    other = create_university("Other University", alice.api)
    for place in (alice, other):
        run_matchback("staff", "add", BOB, "--organization", place.id)
    result = run_matchback("staff", "remove", BOB)
    assert result.exit_code == 1
    assert "belongs to several organizations" in result.stderr
    _, led_to = follow(
        real_client, run_matchback("staff", "link", BOB, "--organization", other.id).stdout
    )
    assert led_to == "/dashboard/account"
    [listed] = json.loads(
        run_matchback("staff", "list", "--organization", other.id, "--json").stdout
    )
    assert listed["last_sign_in"]
    assert run_matchback("staff", "remove", BOB, "--organization", alice.id).exit_code == 0
    assert str(Staff.named(BOB).organization_id) == other.id


def test_sessions_of_a_member_end_in_one_organization(
    alice: University, real_client: testing.TestClient
) -> None:
    browser = sign_in_staff(real_client, alice.id, BOB)
    assert browser.get("/dashboard").status_code == 200
    assert run_matchback("staff", "end-sessions", BOB).exit_code == 0
    assert browser.get("/dashboard").status_code == 303


def test_sessions_of_a_person_are_listed(
    alice: University, real_client: testing.TestClient
) -> None:
    sign_in_staff(real_client, alice.id, BOB)
    [listed] = json.loads(run_matchback("staff", "sessions", BOB, "--json").stdout)
    assert listed["organization_id"] == alice.id
    assert listed["ways"] == ["password"]
    assert run_matchback("staff", "sessions", "nobody@example.edu").exit_code == 1


def test_an_invitation_is_that_of_the_people_page(
    alice: University, real_client: testing.TestClient
) -> None:
    told = run_matchback("staff", "invite", BOB, "--organization", alice.id, "--role", "editor")
    assert "valid once within seven days" in told.stdout
    _, led_to = follow(real_client, told.stdout)
    assert led_to == "/dashboard/account"
    assert Staff.named(BOB).role == "editor"
    again = run_matchback("staff", "invite", BOB, "--organization", alice.id)
    assert again.exit_code == 1


def test_the_operators_link_opens_an_organization_that_requires_single_sign_on(
    alice: University, real_client: testing.TestClient
) -> None:
    bob = add_staff(alice.id, BOB)
    Organization.objects(id=bob.organization_id).update_one(set__requires_single_sign_on=True)
    by_password = Browser(real_client)
    by_password.sign_in(BOB)
    assert by_password.get("/dashboard").status_code == 303
    browser, _ = follow(real_client, run_matchback("staff", "link", BOB).stdout)
    assert browser.get("/dashboard").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("link",), ""),
        (("role", "editor"), ""),
        (("end-sessions",), ""),
        (("password",), f"{STAFF_PASSWORD}\n{STAFF_PASSWORD}\n"),
        (("remove",), ""),
    ],
)
def test_the_audit_of_the_organization_names_the_member(
    alice: University, arguments: tuple[str, ...], said: str
) -> None:
    bob = add_staff(alice.id, BOB, "viewer")
    result = run_matchback("staff", arguments[0], BOB, *arguments[1:], said=said)
    assert result.exit_code == 0
    act = OpenAct.objects(action=f"staff {arguments[0]}").get()
    assert (str(act.organization_id), act.record) == (alice.id, str(bob.id))
    assert (act.actor, act.outcome) == ("command line", 0)
    assert BOB not in str(act.to_mongo())
    assert "token" not in str(act.to_mongo())


def test_an_admin_makes_no_link_for_a_member_with_the_operators_password(
    alice: University, real_client: testing.TestClient
) -> None:
    """Bob has not signed in yet. Alice could act as Bob with a link."""
    bob = Staff.add(ObjectId(alice.id), "Bob", BOB, "admin")
    admin = sign_in_staff(real_client, alice.id, "alice@example.edu")
    assert find_invitable([bob]) == {bob.id}
    said = f"{STAFF_PASSWORD}\n{STAFF_PASSWORD}\n"
    assert run_matchback("staff", "password", BOB, said=said).exit_code == 0
    assert find_invitable([Staff.named(BOB)]) == set()
    admin.get("/dashboard/settings/staff")
    assert admin.send(f"/dashboard/settings/staff/{bob.id}/link").status_code == 409


@pytest.mark.parametrize("password", ["short", "passwordpassword", BOB, "q1w2e3r4t5y6"])
def test_the_rules_of_passwords_hold_for_the_operator(alice: University, password: str) -> None:
    add_staff(alice.id, BOB)
    result = run_matchback("staff", "password", BOB, said=f"{password}\n{password}\n")
    assert result.exit_code == 1
    assert sign_in_by_password(BOB, STAFF_PASSWORD)


def test_an_organization_hides_people_from_viewers(alice: University) -> None:
    for word, hides in (("hide", True), ("show", False)):
        assert run_matchback("org", "set-privacy", alice.id, word).exit_code == 0
        assert Organization.named(alice.id).hides_personal_data is hides


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "not an address"), "Must be a valid email address."),
        (
            ("add", BOB),
            "A staff member with this email address already exists. Use another address.",
        ),
        (("add", "@"), "Must be a valid email address."),
        (("add", "a\0@example.edu"), "printable"),
        (("link", "nobody@example.edu"), "Record not found. Check the ID or email address."),
        (("remove", "nobody@example.edu"), "Record not found. Check the ID or email address."),
    ],
)
def test_invalid_staff_commands_are_reported_in_a_sentence(
    alice: University, arguments: tuple[str, ...], sentence: str
) -> None:
    run_matchback("staff", "add", BOB, "--organization", alice.id)
    organization = ("--organization", alice.id) if arguments[0] == "add" else ()
    result = run_matchback("staff", *arguments, *organization)
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_an_unknown_organization_is_reported_in_a_sentence(alice: University) -> None:
    result = run_matchback("staff", "add", BOB, "--organization", UNKNOWN_ID)
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: Record not found. Check the ID or email address.\n",
    )
