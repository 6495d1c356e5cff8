"""An acknowledged gift or event is never lost or counted twice, wherever a process dies."""

import signal
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.giving_links import link_token
from documents.matching.policy import MatchPolicy
from documents.matching.preview import preview_policy
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.recount import recount
from documents.storage.idempotency import ABANDONED_REQUEST_TIME
from documents.storage.marks import DUE_FILTER
from jobs.sweep import sweep_due_records
from service.middleware import api_key
from tests.integration.documents.outcomes.recomputed import read_arms, recompute_arms
from tools.seams.child import TRANSACTION_MARK, run_scenario
from tools.seams.forks import get_fork_context
from tools.seams.history import ALL_SCENARIOS, NOTED_REPORTS, read_figures
from tools.seams.scenarios import Given, Scenario, prepare_scene
from tools.testbed.cast import Api, University, create_university
from tools.testbed.emptied import delete_records
from tools.testbed.history import find_history_mistakes
from tools.testbed.reported import find_report_mistakes
from tools.testbed.stored import StoredRecords, read_records, store_records

PATIENCE_SECONDS = 60
SETTLED_GIFTS = [
    f"update_email_donation, {one}" for one in ("new gift", "part refund", "deleted gift", "pinned")
]
READS = {"find", "getMore", "aggregate", "count", "distinct"}


@pytest.mark.parametrize("name", ALL_SCENARIOS)
def test_a_kill_between_any_two_commands_loses_nothing(
    name: str,
    real_database: str,
    real_client: testing.TestClient,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = prepare(ALL_SCENARIOS[name], real_client)
    commands = one_life(scene, name, real_database, (0, "never"))
    assert commands, "it used no database at all"
    for where in choose_crash_points(commands):
        left = one_life(scene, name, real_database, where)
        # Under load, the first life can have more commands, because MongoDB repeats a transaction.
        assert left is None or len(left) < where[0], f"not killed {where[1]} command {where[0]}"
    with capsys.disabled():
        told = f"{name}: killed before the first and after the writes of {', '.join(commands)}"
        print(f"\n  {told}")  # noqa: T201


@pytest.mark.parametrize("name", SETTLED_GIFTS)
def test_three_kills_between_commit_and_removal_of_the_mark_change_nothing(
    name: str, real_database: str, real_client: testing.TestClient
) -> None:
    """A worker removes due marks of gifts after the commit. So the gift is settled again."""
    scenario, place = ALL_SCENARIOS[name], new_place(real_client)
    given = prepare_scene(place)
    scenario.prepare(place, given)
    kept: list[Any] = []
    for _ in range(3):
        assert run_act(name, real_database, given, ("commitTransaction", "after")) is None
        assert get_db().donations.find_one(DUE_FILTER)
        assert list(recount.find_drifts()) == []
        kept.append(read_settled())
    assert kept[0] == kept[1] == kept[2]
    recover(scenario, place, given, killed=True)
    assert read_settled() == kept[0]
    check(scenario, place, given)


def read_settled() -> dict[str, Any]:
    """Return everything that settling writes, without due marks and times of decisions."""
    names = (
        *("donations", "matches", "past_matches", "fundraisers", "mailings", "emails", "users"),
        "event_deliveries",
    )
    unset = {"$unset": ["due", "decision.decided_at", "held_at", "matched_at"]}
    order = {"$sort": {"_id": 1}}
    return {name: list(get_db()[name].aggregate([unset, order])) for name in names}


def choose_crash_points(commands: list[str]) -> list[tuple[int, str]]:
    """Return the points at which the stored data differs, as a command's number and a time.

    For the database, the state after one command is the state before the next. A read changes
    nothing. An open transaction stores nothing, so the last of its writes stands for all of them.
    """
    writes = [number for number, told in enumerate(commands, 1) if told.split()[0] not in READS]
    are_open = [commands[number - 1].endswith(TRANSACTION_MARK) for number in writes]
    changes = [
        number
        for number, is_open, is_next_open in zip(
            writes, are_open, [*are_open[1:], False], strict=True
        )
        if not (is_open and is_next_open)
    ]
    return [(1, "before"), *((number, "after") for number in changes)]


def test_a_crash_point_follows_each_write_that_changes_what_is_stored() -> None:
    commands = [
        "insert donations",
        "find emails",
        f"update donations{TRANSACTION_MARK}",
        f"find emails{TRANSACTION_MARK}",
        f"update emails{TRANSACTION_MARK}",
        "commitTransaction",
        f"update users{TRANSACTION_MARK}",
        "commitTransaction",
        "update leases",
    ]
    assert choose_crash_points(commands) == [
        (1, "before"),
        *((number, "after") for number in (1, 5, 6, 7, 8, 9)),
    ]


@dataclass(frozen=True)
class Scene:
    """The records before the act of a scenario. Each life begins with them."""

    place: University
    given: Given
    records: StoredRecords


def prepare(scenario: Scenario, client: testing.TestClient) -> Scene:
    place = new_place(client)
    given = prepare_scene(place)
    scenario.prepare(place, given)
    return Scene(place, given, read_records(get_db()))


def one_life(scene: Scene, name: str, uri: str, where: tuple[int, str]) -> list[str] | None:
    """Store the scene, run the act in a process that is killed, recover, and compare.

    Return the commands of the process, or None if it was killed.
    """
    scenario, given = ALL_SCENARIOS[name], deepcopy(scene.given)
    store_records(get_db(), scene.records)
    forget_keys()
    commands = run_act(name, uri, given, where)
    recover(scenario, scene.place, given, killed=commands is None)
    check(scenario, scene.place, given)
    return commands


def run_act(
    name: str, uri: str, given: dict[str, Any], where: tuple[int | str, str]
) -> list[str] | None:
    """Run the act in a process. Return its commands, or None if it was killed."""
    context = get_fork_context()
    here, there = context.Pipe()
    process = context.Process(target=run_scenario, args=(there, uri, name, given, where))
    process.start()
    there.close()
    process.join(PATIENCE_SECONDS)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    killed = process.exitcode != 0
    commands = None if killed else here.recv()
    here.close()
    return commands


def new_place(client: testing.TestClient) -> University:
    """Create a university on a database that has only indexes."""
    delete_records(get_db())
    forget_keys()
    place = create_university("Alice's University", Api.in_process(client))
    place.set_webhook_key()
    WebhookEndpoint.add(ObjectId(place.id), "https://crm.example.edu/hook")
    return place


def forget_keys() -> None:
    """Forget the keys of the deleted university."""
    api_key.forget_api_keys()
    link_token.forget_link_keys()


def recover(scenario: Scenario, place: University, given: dict[str, Any], *, killed: bool) -> None:
    """Recover as the service does: open transactions end, clients repeat, and the sweep runs."""
    # The server does so by itself within seconds; tests/system/test_faults.py waits for that.
    get_db().client.admin.command({"killAllSessions": []})
    get_db().leases.delete_many({})  # the leases of the killed process end
    if killed and scenario.again:
        get_db().idempotency_keys.update_many(
            {"status": None}, {"$set": {"taken_at": ABANDONED_REQUEST_TIME}}
        )
        scenario.act(place, given)
    get_db().emails.update_many(
        {"donations_count": {"$type": "string"}}, {"$set": {"donations_count": 0}}
    )
    for collection in ("donations", "deliveries"):  # ends the pauses
        get_db()[collection].update_many({}, {"$unset": {"trouble.retry_at": ""}})
    while sweep_due_records():
        pass


def check(scenario: Scenario, place: University, given: dict[str, Any]) -> None:
    report = place.report(given["spring"])
    assert not any(report["unsettled"].values())
    assert report["donations"]["raised"].get("USD", 0) == scenario.raised
    assert report["donations"]["count"] == scenario.gifts
    assert report["emails"]["opens"] == scenario.opens
    matched = place.report(given["spring"])["donations"]["by_match"]
    assert sum(of["count"] for of in matched.values()) == scenario.gifts
    pages = preview_policy(ObjectId(place.id), MatchPolicy(), lambda held: held)
    assert not [change for _, changes in pages for change in changes]
    mailing = get_db().mailings.find_one({"_id": ObjectId(given["mailing"])})
    assert mailing
    emails = {"mailing_id": mailing["_id"], "deleted_at": None}
    assert mailing["emails_count"] == get_db().emails.count_documents(emails)
    assert list(recount.find_drifts()) == []
    assert find_report_mistakes() == []
    assert read_arms() == recompute_arms()
    assert find_history_mistakes() == []
    for path, figures in given.get(NOTED_REPORTS, {}).items():
        assert read_figures(place, path) == figures
