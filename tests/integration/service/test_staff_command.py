"""`matchback staff`: who may sign in, from the command line."""

import json
from urllib.parse import urlsplit

import pytest
from falcon import testing

from config import database
from documents.access.staff import Staff
from tools.testbed.cast import UNKNOWN_ID, Api, University, university
from tools.testbed.command_line import matchback
from tools.testbed.pages import PASSWORD, Browser

BOB = "bob@example.edu"


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    monkeypatch.setattr("config.database.connect", database.client)
    return university("Alice's University", Api.in_process(real_client))


def follow(client: testing.TestClient, told: str) -> tuple[Browser, str]:
    """Open the link that a command printed; says where it leads."""
    link = urlsplit(told.rsplit(maxsplit=1)[-1])
    browser = Browser(client)
    browser.get(link.path, query_string=link.query)
    answer = browser.send(link.path, {"token": link.query.removeprefix("token=")})
    return browser, answer.headers.get("location", "")


def test_who_is_added_gets_a_link_and_chooses_a_password(
    alice: University, real_client: testing.TestClient
) -> None:
    told = matchback("staff", "add", BOB, "--organization", alice.id, "--role", "admin").stdout
    browser, led_to = follow(real_client, told)
    assert led_to == "/dashboard/account"
    browser.get("/dashboard/account")
    assert browser.send("/dashboard/account", {"password": PASSWORD}).status_code == 303
    assert Browser(real_client).sign_in(BOB).status_code == 303
    assert Staff.named(BOB).is_admin


def test_a_password_may_be_set_at_once(alice: University, real_client: testing.TestClient) -> None:
    said = f"{PASSWORD}\n{PASSWORD}\n"
    result = matchback("staff", "add", BOB, "--organization", alice.id, "--password", said=said)
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    assert Browser(real_client).sign_in(BOB).status_code == 303
    assert not Staff.named(BOB).is_admin


def test_a_forgotten_password_is_replaced_by_a_link_or_by_hand(
    alice: University, real_client: testing.TestClient
) -> None:
    matchback("staff", "add", BOB, "--organization", alice.id)
    _, led_to = follow(real_client, matchback("staff", "link", BOB).stdout)
    assert led_to == "/dashboard/account"
    said = f"{PASSWORD}\n{PASSWORD}\n"
    assert matchback("staff", "password", BOB, said=said).exit_code == 0
    assert Browser(real_client).sign_in(BOB).status_code == 303


def test_who_is_there_is_listed_and_removed(
    alice: University, real_client: testing.TestClient
) -> None:
    matchback("staff", "add", BOB, "--organization", alice.id, "--name", "Bob")
    [listed] = json.loads(matchback("staff", "list", "--organization", alice.id, "--json").stdout)
    assert (listed["email"], listed["name"], listed["role"]) == (BOB, "Bob", "viewer")
    assert matchback("staff", "remove", BOB).exit_code == 0
    assert matchback("staff", "list", "--organization", alice.id).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "not an address"), "Should be an email address."),
        (("add", BOB), "Somebody with this email signs in already."),
        (("add", "@"), "Should be an email address."),
        (("add", "a\0@example.edu"), "printable"),
        (("link", "nobody@example.edu"), "Record not found. Check the ID or email address."),
        (("remove", "nobody@example.edu"), "Record not found. Check the ID or email address."),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    alice: University, arguments: tuple[str, ...], sentence: str
) -> None:
    matchback("staff", "add", BOB, "--organization", alice.id)
    organization = ("--organization", alice.id) if arguments[0] == "add" else ()
    result = matchback("staff", *arguments, *organization)
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_an_organization_that_is_none_is_a_sentence(alice: University) -> None:
    result = matchback("staff", "add", BOB, "--organization", UNKNOWN_ID)
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: Record not found. Check the ID or email address.\n",
    )
