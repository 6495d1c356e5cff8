"""`matchback rematch`: a dry run of another policy, and new decisions under the current one."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from falcon import testing

from config import database
from service.cli import main
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

EVE = {"name": "Eve", "email": "eve@example.org"}
GIVEN = "2025-11-23T00:00:00Z"
CLICKED = 1_763_800_000  # 2025-11-22T08:26:40Z


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    monkeypatch.setattr("config.database.connect_database", database.get_client)
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def rematch(alice: University, *arguments: str) -> Result:
    return CliRunner().invoke(main, ("rematch", "--organization", alice.id, *arguments))


def told(alice: University, *arguments: str) -> list[dict[str, Any]]:
    result = rematch(alice, "--dry-run", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_dry_run_reports_a_policys_changes_and_makes_none(alice: University) -> None:
    spring = alice.fundraiser()
    appeal, reminder = alice.mailing(spring), alice.mailing(spring, name="Reminder")
    early = alice.email(spring, mailing_id=appeal, sent_at="2025-11-01T00:00:00Z")
    late = alice.email(spring, mailing_id=reminder, sent_at="2025-11-20T00:00:00Z")
    alice.email(spring, user=EVE, mailing_id=appeal, sent_at="2025-11-01T00:00:00Z")
    gift = alice.gift(spring, donated_at=GIVEN)
    eves = alice.gift(spring, 1000, EVE, donated_at=GIVEN)
    follower = alice.gift(spring, 5, donated_at=GIVEN)
    pinned = alice.gift(spring, donated_at=GIVEN)
    alice.call("PUT", f"/v1/donations/{pinned}/match", {"email_id": early})
    settle_all()
    before = alice.report(spring)

    assert told(alice) == []
    assert told(alice, "--window", "30d", "--touch", "last") == []
    [change] = told(alice, "--window", "14d")
    assert (change["donation_id"], change["amount"]) == (eves, 1000)
    assert change["after"] == {"match": "none", "email_id": None, "mailing_id": None}
    firsts = told(alice, "--touch", "first")
    assert {one["donation_id"] for one in firsts} == {gift, follower}
    assert told(alice, "--prefer", "clicked", "--fundraiser", alice.fundraiser("Empty")) == []

    text = rematch(alice, "--dry-run", "--touch", "first").stdout
    assert text.startswith("Donations checked: 4. Would change: 2.\n  address -> address: 2\n")
    assert f"mailing {appeal}: +25.05 USD" in text
    assert f"mailing {reminder}: -25.05 USD" in text
    settle_all()
    assert alice.report(spring) | {"as_of": 0} == before | {"as_of": 0}

    # A new policy applies to later decisions, and to all gifts only on request.
    answer = alice.call("PUT", "/v1/match-policy", {"touch": "first"})
    assert answer.status == 200
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["email_id"] == late
    assert rematch(alice).stdout == "Donations to match again: 3\n"
    settle_all()
    found = alice.get(f"/v1/donations/{gift}/match")
    assert found["email_id"] == early
    assert found["policy"] == {"scope": "organization", "version": 1}
    assert [one["email_id"] for one in found["history"]] == [late]
    assert told(alice) == []


def test_later_instalments_follow_the_first_in_a_dry_run(alice: University) -> None:
    spring = alice.fundraiser()
    alice.email(spring, sent_at="2025-11-01T00:00:00Z")
    days = ("2025-11-20T00:00:00Z", "2025-12-20T00:00:00Z", "2026-01-20T00:00:00Z")
    gifts = [alice.gift(spring, recurring_id="plan", donated_at=day) for day in days]
    settle_all()
    assert {one["donation_id"] for one in told(alice, "--window", "10d")} == set(gifts)


def test_a_dry_run_uses_the_other_policys_order(alice: University) -> None:
    spring = alice.fundraiser()
    clicked = alice.email(spring, sent_at="2025-11-01T00:00:00Z")
    latest = alice.email(spring, sent_at="2025-11-20T00:00:00Z")
    alice.deliver([make_event(clicked, "click", CLICKED, url="https://give.example.edu/")])
    gift = alice.gift(spring, donor=BOB, donated_at=GIVEN)
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["email_id"] == clicked
    [change] = told(alice, "--prefer", "sent")
    assert change["after"]["email_id"] == latest


@pytest.mark.parametrize(
    "arguments",
    [
        ["--window", "14"],
        ["--window", "0d"],
        ["--window", "99999d"],
        ["--window", "-3d"],
        ["--prefer", "liked"],
        ["--prefer", "sent,sent"],
        ["--prefer", ""],
        ["--touch", "every"],
        ["--window", "14d"],  # without --dry-run
    ],
)
def test_invalid_options_are_reported_in_a_sentence(
    alice: University, arguments: list[str]
) -> None:
    dry = [] if arguments == ["--window", "14d"] else ["--dry-run"]
    result = rematch(alice, *dry, *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_unknown_and_foreign_ids_are_reported_in_a_sentence(alice: University) -> None:
    for bad in ("nonsense", "f" * 24):
        result = CliRunner().invoke(main, ("rematch", "--organization", bad, "--dry-run"))
        assert (result.exit_code, result.stderr) == (
            1,
            "Error: Record not found. Check the ID or email address.\n",
        )
    assert rematch(alice, "--fundraiser", "f" * 24).exit_code == 1


def test_the_link_key_can_be_rotated(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    old = alice.get(f"/v1/emails/{email}")["link_token"]
    result = CliRunner().invoke(main, ("link-key", "rotate"))
    assert result.stdout.startswith("Link key 2 ")
    assert alice.get(f"/v1/emails/{email}")["link_token"] != old
    gift = alice.gift(alice.fundraiser("Autumn"), email_id=old)
    settle_all()
    found = alice.get(f"/v1/donations/{gift}/match")
    assert found["considered"][0]["email_id"] == email
