"""`matchback status`: the report for the person on call, in good and bad states."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner, Result
from falcon import testing
from mongoengine import get_db
from rich.console import Console

from config import database, queue
from documents.concurrency.retries import MAX_ATTEMPTS
from documents.outgoing.delivery_lag import DeliveryLag
from documents.reports.health import (
    DueRecords,
    FailedJobSummary,
    RecentPosts,
    RecountResult,
    ServiceHealth,
    WarehouseLag,
)
from documents.settling.failed_job import FailedJob
from documents.values.time import now
from jobs.sweep import sweep_due_records
from service.cli import main
from service.commands.status.facts import (
    ActivityRates,
    Facts,
    MongoDBFacts,
    QueueFacts,
    ReplicaSetMember,
    compute_rates,
    find_support_end,
    read_members,
)
from service.commands.status.judgement import (
    ATTENTION_LEVEL,
    UNKNOWN_LEVEL,
    WELL_LEVEL,
    judge_facts,
)
from service.commands.status.live import _view
from service.commands.status.screen import format_facts
from service.commands.status.values import to_json_object
from service.commands.status.watch import BackgroundQuery
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.readme import ROOT
from tools.testbed.stack import WAIT_TIMEOUT_SECONDS, Stack, wait_until

AT = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
JOB = FailedJob(ObjectId(), ObjectId(), "donations", "TypeError", MAX_ATTEMPTS, AT)
SERVICE = ServiceHealth(
    due=[DueRecords("donations", 0, 0.0, 0), DueRecords("deliveries", 0, 0.0, 0)],
    failed=FailedJobSummary(0, []),
    recount=RecountResult(0, AT - timedelta(hours=2)),
    warehouse=WarehouseLag(0.4, is_failing=False, is_filled=True),
    posts=RecentPosts({"sendgrid": AT, "stripe": None}, 0),
    stored={"donations": 100, "deliveries": 10, "events": 1000},
    outgoing=DeliveryLag(0.2, pending=3, failing_endpoints=1),
)
SET = MongoDBFacts(
    True, None, "8.0.4", date(2029, 10, 31), "a:1", [ReplicaSetMember("a:1", "PRIMARY")]
)
FACTS = Facts(
    AT, SET, QueueFacts(True, None, 3), SERVICE, None, ActivityRates(1.0, 5.0, 5.0, 1.0, 100.0)
)
IDLE = ActivityRates(1.0, 0.0, 0.0, 0.0, 0.0)
AWAY = MongoDBFacts(answers=False, reason="it does not respond")


def with_(**changes: Any) -> Facts:
    """Return a healthy service with these differences."""
    return replace(FACTS, service=replace(SERVICE, **changes))


def test_a_healthy_service_is_reported_as_healthy() -> None:
    assert (judge_facts(FACTS).level, judge_facts(FACTS).sentence) == (
        WELL_LEVEL,
        "No problems found.",
    )


# The problem, its severity, the message, and the advice.
@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (replace(FACTS, mongodb=AWAY, service=None), UNKNOWN_LEVEL, ["does not respond", "mongod"]),
        (
            replace(FACTS, mongodb=replace(SET, primary=None)),
            UNKNOWN_LEVEL,
            ["no primary", "Start the"],
        ),
        (replace(FACTS, service=None, has_indexes=False), UNKNOWN_LEVEL, ["`matchback indexes`"]),
        (replace(FACTS, service=None, reason="Odd"), UNKNOWN_LEVEL, ["(Odd)"]),
        (
            replace(FACTS, mongodb=replace(SET, members=[ReplicaSetMember("b:1", "DOWN", False)])),
            ATTENTION_LEVEL,
            ["b:1", "DOWN"],
        ),
        (
            replace(
                FACTS,
                mongodb=replace(SET, members=[ReplicaSetMember("b:1", "SECONDARY", True, 31)]),
            ),
            ATTENTION_LEVEL,
            ["b:1", "31 s behind"],
        ),
        (
            replace(with_(due=[DueRecords("donations", 9, 31.0, 0)]), rates=IDLE),
            ATTENTION_LEVEL,
            ["Donations", "31 s", "`matchback worker`", "No data is lost"],
        ),
        (
            with_(due=[DueRecords("donations", 9, 31.0, 0)]),
            ATTENTION_LEVEL,
            ["although work continues"],
        ),
        (
            with_(outgoing=DeliveryLag(61.0, pending=9, failing_endpoints=0)),
            ATTENTION_LEVEL,
            ["61 s", "`matchback sender`"],
        ),
        (with_(due=[DueRecords("users", 9, 301.0, 3)]), ATTENTION_LEVEL, ["Users"]),
        (
            with_(failed=FailedJobSummary(2, [JOB])),
            ATTENTION_LEVEL,
            ["2 jobs", "`matchback jobs retry --all`"],
        ),
        (
            replace(FACTS, queue=QueueFacts(False, "it does not respond")),
            ATTENTION_LEVEL,
            ["Redis", "No data is lost"],
        ),
        (
            replace(FACTS, queue=QueueFacts(True, None, 100_001)),
            ATTENTION_LEVEL,
            ["100001 wake-ups"],
        ),
        (with_(recount=RecountResult(7, AT)), ATTENTION_LEVEL, ["last recount: 7", "--repair"]),
        (
            with_(recount=RecountResult(0, AT - timedelta(hours=73))),
            ATTENTION_LEVEL,
            ["since 2026-11-23"],
        ),
        (
            with_(warehouse=WarehouseLag(0, True, True)),
            ATTENTION_LEVEL,
            ["`matchback warehouse status`"],
        ),
        (with_(warehouse=WarehouseLag(121, False, True)), ATTENTION_LEVEL, ["121 s behind"]),
    ],
)
def test_each_problem_is_a_sentence_with_advice(facts: Facts, level: int, words: list[str]) -> None:
    verdict = judge_facts(facts)
    assert verdict.level == level
    assert len(verdict.problems) == 1
    assert all(word in verdict.sentence for word in words), verdict.sentence


@pytest.mark.parametrize(
    "facts",
    [
        with_(due=[DueRecords("donations", 9_999, 29.0, 0)]),  # a burst
        with_(due=[DueRecords("donations", 1, 200.0, 3)]),  # between two attempts
        with_(recount=RecountResult(None, None)),  # just set up
        with_(warehouse=WarehouseLag(3600, False, False)),  # in the initial fill
        with_(warehouse=None),
        replace(FACTS, mongodb=replace(SET, supported_until=date(2025, 7, 31))),
        replace(FACTS, rates=None),
    ],
)
def test_temporary_conditions_raise_no_alarm(facts: Facts) -> None:
    assert judge_facts(facts).sentence == "No problems found."


def test_the_most_urgent_problem_is_first_and_all_are_shown() -> None:
    facts = replace(
        with_(failed=FailedJobSummary(1, [JOB])), queue=QueueFacts(False, "it does not respond")
    )
    first, second = judge_facts(facts).problems
    assert first.startswith("1 job has failed")
    assert "Redis" in second


def test_rates_cover_the_time_between_two_readings() -> None:
    later = replace(
        SERVICE,
        due=[DueRecords("donations", 4, 1.0, 0)],
        stored={"donations": 120, "deliveries": 12, "events": 900},
    )
    found = compute_rates(SERVICE, later, 2.0)
    assert (found.gifts_stored, found.gifts_settled) == (10.0, 8.0)
    assert (found.posts, found.events) == (1.0, 0.0)  # old events were deleted meanwhile
    assert compute_rates(later, SERVICE, 2.0).gifts_settled == 2.0
    assert (
        compute_rates(
            SERVICE, replace(later, due=[DueRecords("donations", 10_000, 9, 0)]), 2
        ).gifts_settled
        is None
    )


def test_members_are_shown_with_their_lag() -> None:
    told = {
        "members": [
            {"name": "a:1", "stateStr": "PRIMARY", "optimeDate": AT},
            {"name": "b:1", "stateStr": "SECONDARY", "optimeDate": AT - timedelta(seconds=4)},
            {
                "name": "c:1",
                "stateStr": "(not reachable/healthy)",
                "optimeDate": datetime(1970, 1, 1, tzinfo=UTC),
            },
            {"name": "d:1", "stateStr": "ARBITER"},
        ]
    }
    assert read_members(told) == [
        ReplicaSetMember("a:1", "PRIMARY"),
        ReplicaSetMember("b:1", "SECONDARY", True, 4.0),
        ReplicaSetMember("c:1", "(not reachable/healthy)", False),
        ReplicaSetMember("d:1", "ARBITER"),
    ]


@pytest.mark.parametrize(
    ("version", "until"),
    [
        ("4.4.29", date(2024, 10, 31)),
        ("6.0.5", date(2025, 7, 31)),
        ("8.0.20", date(2029, 10, 31)),
        ("8.2.6", None),
    ],
)
def test_a_servers_end_of_support_is_shown(version: str, until: date | None) -> None:
    assert find_support_end(version) == until


def test_a_small_screen_truncates_facts_and_not_the_sentence() -> None:
    facts = with_(failed=FailedJobSummary(1, [JOB]))
    for height in (40, 8):
        console = Console(width=60, height=height, force_terminal=True, record=True)
        console.print(_view(facts, console))
        shown = " ".join(console.export_text().split())
        assert judge_facts(facts).sentence in shown
        assert "Press q to stop" in shown
        assert ("Webhooks" in shown) == (height == 40)


def test_a_server_without_a_response_is_asked_once() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        time.sleep(0.5)

    question = BackgroundQuery(ask)
    for _ in range(3):
        question.ask()
        with pytest.raises(TimeoutError):
            question.answer(0.01)
    assert len(asked) == 1


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    monkeypatch.setattr("config.database.connect_database", lambda **_: database.get_client())
    monkeypatch.setattr(queue, "huey", queue.make_queue(queue.QUEUE_NAME))  # this test's own Redis
    monkeypatch.setattr("service.commands.status.watch.STATUS_REFRESH_SECONDS", 0.01)
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def matchback(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["status", *arguments])


def test_status_shows_pending_and_failed_work(alice: University) -> None:
    spring = alice.fundraiser()
    first, second = alice.gift(spring), alice.gift(spring)
    long_ago = now() - timedelta(minutes=5)
    get_db().donations.update_one({"_id": ObjectId(first)}, {"$set": {"due": long_ago}})
    failed = {"tries": MAX_ATTEMPTS, "error": "TypeError (code 7)", "failed_at": now()}
    get_db().donations.update_one(
        {"_id": ObjectId(second)}, {"$set": {"trouble": failed}, "$unset": {"due": ""}}
    )
    result = matchback("--once")
    assert result.exit_code == 1
    assert "donations 1, oldest 5 min" in result.stdout
    assert f"donations {second}: TypeError (code 7) after 5 attempts" in result.stdout
    assert f"`matchback jobs retry {second}`" in result.stdout
    assert "Donations have been waiting to be processed for 300 s." in result.stdout
    assert CliRunner().invoke(main, ["jobs", "retry", second]).exit_code == 0
    sweep_due_records()
    result = matchback()
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "No problems found.")
    assert "unsupported since 2025-07-31" in result.stdout
    assert "sendgrid none recently" in result.stdout


def test_the_json_object_has_the_documented_keys(alice: University) -> None:
    alice.gift(alice.fundraiser())
    told = json.loads(matchback("--json").stdout)
    described = matchback("--help").stdout.split("Keys of the JSON object:")[1]
    assert re.findall(r"^ {4}(\w+)  ", described, re.M) == list(told)
    words = set(re.findall(r"\w+", described))
    parts = [told["mongodb"], *told["mongodb"]["members"], told["queue"], told["rates"]]
    parts += [*told["due"], told["failed"], told["recount"], told["posts"], told["outgoing"]]
    for part in [*parts, *to_json_object(FACTS, judge_facts(FACTS))["due"]]:
        assert set(part) <= words
    assert (told["status"], told["problems"]) == ("well", [])
    assert told["due"][0]["kind"] == "donations"
    assert told["due"][0]["count"] == 1


def test_status_names_no_one(alice: University) -> None:
    spring = alice.fundraiser("A secret campaign")
    alice.email(spring)
    alice.gift(spring)
    for output in (matchback("--json").stdout, matchback("--once").stdout):
        assert not re.search("bob|baker|@|secret|university", output, re.I), output
    assert BOB["name"] == "Bob Baker"


def test_status_reads_indexes_and_few_documents(alice: University) -> None:
    spring = alice.fundraiser()
    for _ in range(30):
        alice.gift(spring)
    sweep_due_records()
    get_db().command("profile", 2)
    try:
        assert matchback("--json").exit_code == 0
    finally:
        get_db().command("profile", 0)
    seen = [
        row
        for row in get_db()["system.profile"].find({"ns": {"$not": {"$regex": "profile$"}}})
        if "planSummary" in row
    ]
    assert len(seen) > 20
    for row in seen:
        assert "COLLSCAN" not in row["planSummary"], row["command"]
        assert row["docsExamined"] <= 1, row["command"]


def test_missing_indexes_are_reported(alice: University) -> None:
    get_db().donations.drop()
    get_db().donations.insert_one({})
    try:
        result = matchback("--once")
    finally:
        get_db().donations.drop()
        CliRunner().invoke(main, ["indexes"])
    assert result.exit_code == 2
    assert "Run `matchback indexes`" in result.stdout


@pytest.fixture
def silent() -> Iterator[int]:
    """Return the port of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


def run(*arguments: str, **environment: str) -> tuple[int, dict[str, Any], float]:
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "status", "--json", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr
    return done.returncode, json.loads(done.stdout), time.monotonic() - start


def test_silent_or_unavailable_servers_do_not_delay_the_command(
    real_database: str, silent: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]

    def run_without(*, mongodb: int | None, redis: int) -> tuple[int, dict[str, Any], float]:
        given = {"MATCHBACK_REDIS_URL": f"redis://127.0.0.1:{redis}/0"}
        if mongodb is not None:
            given["MATCHBACK_MONGODB_URI"] = f"mongodb://127.0.0.1:{mongodb}/m?replicaSet=rs0"
        return run(**given)

    with ThreadPoolExecutor() as commands:
        both = [commands.submit(run_without, mongodb=port, redis=port) for port in (closed, silent)]
        only_redis = commands.submit(run_without, mongodb=None, redis=silent)
    for done in both:
        status, told, seconds = done.result()
        assert (status, told["status"], told["due"]) == (2, "unknown", None)
        assert told["mongodb"]["reason"] == "it does not respond"
        assert [one.split()[0] for one in told["problems"]] == ["MongoDB", "The"]
        assert seconds < 25  # a busy machine needs many of these to start Python
    status, told, seconds = only_redis.result()
    assert (status, told["status"], told["queue"]["length"]) == (1, "attention", None)
    assert told["mongodb"]["answers"]
    assert seconds < 25


def test_the_live_view_updates_and_ends_at_q(stack: Stack) -> None:
    alice = create_university("Alice's University", stack.api())
    spring = alice.fundraiser()
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "service.cli", "status"],
        cwd=ROOT,
        env=os.environ | stack.environment | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as live:
        os.close(theirs)
        os.set_blocking(ours, False)
        said = ""

        def shown(pattern: str) -> bool:
            nonlocal said
            with suppress(OSError):  # nothing new, or the command has ended
                said += os.read(ours, 65536).decode("utf-8", "replace")
            return bool(re.search(pattern, said))

        wait_until(lambda: shown("No problems found"), "the first look")
        for _ in range(10):
            alice.gift(spring)
        wait_until(lambda: shown(r"[1-9][\d.]* donations/s stored"), "the gifts are seen")
        os.write(ours, b"q")
        assert live.wait(WAIT_TIMEOUT_SECONDS) == 0
        wait_until(lambda: shown(r"\x1b\[\?1049l.*Matchback, "), "the last reading to stay")
    os.close(ours)


def test_output_lines_are_readable() -> None:
    text = "\n".join(str(line) for line in format_facts(with_(failed=FailedJobSummary(1, [JOB]))))
    assert "Queue      3 wake-ups in the queue" in text
    assert "Recount    0 incorrect, 2 h ago" in text
    assert f"`matchback jobs retry {JOB.id}`" in text
    assert "sendgrid 0.0 s ago; stripe none recently" in text
