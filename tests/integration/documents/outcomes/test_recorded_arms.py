"""Imports and uploads give each email its arm, and name the emails that must not be sent."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents import experiment, experiment_changes
from documents.errors import Conflict
from documents.imports import arm_lines, inserts
from documents.imports import emails as imports
from documents.imports.emails import EmailImport
from documents.imports.file_import import FileImport
from documents.mailing import Mailing
from jobs.periodic import imports as job
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.pages import Browser, add_staff, extract_text
from tools.testbed.settled import settle_all

SENT = "2025-11-20T00:00:00Z"
ARMS = [{"name": "sent", "weight": 3}, {"name": "holdout", "weight": 1, "held_out": True}]
EVE = {"name": "Eve", "email": "eve@example.org"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def mailing(alice: University) -> str:
    return start(alice, alice.fundraiser())


def start(alice: University, spring: str) -> str:
    mailing = alice.mailing(spring, sent_at=SENT)
    assert alice.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": ARMS}).status == 200
    return mailing


def post(alice: University, lines: list[Any]) -> Any:
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    answer = alice.call("POST", "/v1/emails/import", body=body, headers=headers)
    assert answer.status == 200, answer.content
    return answer.json


def people(mailing: str, number: int, first: int = 0) -> list[Any]:
    return [
        {"mailing_id": mailing, "user": {"name": f"P {n}", "email": f"p{n}@example.edu"}}
        for n in range(first, first + number)
    ]


def held_out_people(mailing: str) -> list[str]:
    of = {"mailing_id": ObjectId(mailing), "held_out": True}
    users = [row["user_id"] for row in get_db().emails.find(of)]
    return sorted(row["email"] for row in get_db().users.find({"_id": {"$in": users}}))


def test_an_import_names_the_lines_that_must_not_be_sent(alice: University, mailing: str) -> None:
    lines = people(mailing, 1200)
    first = post(alice, [*lines, lines[0]])
    assert (first["created"], first["found"], first["held_out_left_out"]) == (1200, 1, 0)
    expected = held_out_people(mailing)
    named = [([*lines, lines[0]])[n - 1]["user"]["email"] for n in first["held_out_lines"]]
    assert sorted(set(named)) == expected
    assert (
        len(named)
        == first["held_out_count"]
        == len(expected) + (named.count("p0@example.edu") == 2)
    )
    assert 240 <= len(expected) <= 360
    again = post(alice, [*lines, lines[0]])
    assert (again["created"], sorted(again["held_out_lines"])) == (
        0,
        sorted(first["held_out_lines"]),
    )
    settle_all()
    found = alice.get(f"/v1/mailings/{mailing}/experiment")["arms"]
    assert [arm["recipients"] for arm in found] == [1200 - len(expected), len(expected)]
    assert alice.get(f"/v1/mailings/{mailing}")["emails_count"] == 1200 - len(expected)


def test_lines_may_name_their_arm(alice: University, mailing: str) -> None:
    plain = alice.mailing(alice.fundraiser())
    good = [{**line, "arm": "holdout"} for line in people(mailing, 3)]
    bad = [
        {"mailing_id": mailing, "user": EVE, "arm": "third"},
        {"mailing_id": plain, "user": EVE, "arm": "sent"},
    ]
    done = post(alice, [*good, *bad, {"mailing_id": plain, "user": BOB}])
    assert (done["created"], done["refused_count"]) == (4, 2)
    assert [line["errors"][0]["pointer"] for line in done["refused"]] == ["/arm", "/arm"]
    assert done["held_out_lines"] == [1, 2, 3]
    assert held_out_people(mailing) == [f"p{n}@example.edu" for n in range(3)]


def arms_of(done: Any) -> dict[str, list[int]]:
    """Return the lines of each arm of an answer."""
    for arm in done["arms"]:
        assert arm["held_out"] == (arm["arm"] == "holdout")
        assert arm["count"] == len(arm["lines"])
    return {arm["arm"]: sorted(arm["lines"]) for arm in done["arms"]}


def stored_arms(mailing: str) -> dict[str, str]:
    """Return the stored arm of each address."""
    emails = get_db().emails.find({"mailing_id": ObjectId(mailing), "deleted_at": None})
    arms = {row["user_id"]: row["arm_id"].split(":")[1] for row in emails}
    return {row["email"]: arms[row["_id"]] for row in get_db().users.find() if row["_id"] in arms}


def test_an_import_answers_the_arm_of_each_line_new_or_not(alice: University, mailing: str) -> None:
    plain = {"mailing_id": alice.mailing(alice.fundraiser()), "user": BOB}
    lines = [*people(mailing, 1100), plain, *people(mailing, 1)]
    first, again = post(alice, lines), post(alice, lines)
    expected: dict[str, list[int]] = {}
    arms = stored_arms(mailing)
    for number, line in enumerate(lines, 1):
        if line is not plain:
            expected.setdefault(arms[line["user"]["email"]], []).append(number)
    assert arms_of(first) == arms_of(again) == expected
    assert {arm["mailing_id"] for arm in first["arms"]} == {mailing}
    assert first["arm_lines_left_out"] == 0
    assert sorted(first["held_out_lines"]) == expected["holdout"]


def test_a_line_that_names_another_arm_than_the_email_has_is_rejected(
    alice: University, mailing: str
) -> None:
    bob, eve, dan, ann = people(mailing, 4)
    before = post(alice, [{**bob, "arm": "holdout"}, {**eve, "arm": "sent"}])
    assert (before["created"], before["refused_count"]) == (2, 0)
    lines = [
        {**bob, "arm": "sent"},
        {**bob, "arm": "holdout"},
        bob,
        {**eve, "arm": "holdout"},
        {**dan, "arm": "sent"},
        {**dan, "arm": "holdout"},
        {**dan, "arm": "sent"},
        dan,
        ann,
        {**ann, "arm": "holdout"},
    ]
    dry = EmailImport(ObjectId(alice.id), dry_run=True)
    for number, line in enumerate(lines, 1):
        dry.add(number, {**line, "mailing_id": ObjectId(mailing)})
    dry.flush()
    done = post(alice, lines)
    assert (done["created"], done["found"], done["refused_count"]) == (2, 4, 4)
    assert (dry.created, dry.found, dry.refused_count) == (2, 4, 4)
    assert [line["line"] for line in done["refused"]] == [1, 4, 6, 10]
    for line in done["refused"]:
        [error] = line["errors"]
        assert (error["pointer"], error["code"]) == ("/arm", "conflict")
    assert stored_arms(mailing)["p0@example.edu"] == "holdout"
    assert stored_arms(mailing)["p2@example.edu"] == "sent"


def test_an_email_from_before_the_experiment_has_no_arm_to_name(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, sent_at=SENT)
    [bob] = people(mailing, 1)
    post(alice, [bob])
    assert alice.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": ARMS}).status == 200
    done = post(alice, [{**bob, "arm": "holdout"}, bob])
    assert (done["found"], done["refused_count"], done["arms"]) == (1, 1, [])


def test_a_request_stores_the_email_with_another_arm_during_the_import(
    alice: University, mailing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [bob] = people(mailing, 1)
    [spring] = [str(row["_id"]) for row in get_db().fundraisers.find()]
    real = inserts.insert_missing

    def post_first(*args: Any) -> Any:
        alice.make("emails", fundraiser_id=spring, **bob, arm="holdout")
        return real(*args)

    monkeypatch.setattr(imports, "insert_missing", post_first)
    done = post(alice, [{**bob, "arm": "sent"}, {**bob, "arm": "sent"}, bob])
    assert (done["created"], done["found"], done["refused_count"]) == (0, 1, 2)
    assert arms_of(done) == {"holdout": [3]}


def test_more_lines_with_arms_than_the_answer_lists_are_counted(
    alice: University, mailing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm_lines, "MAX_LISTED_ARM_LINES", 2)
    lines = [{**line, "arm": "sent"} for line in people(mailing, 3)]
    done = post(alice, [*lines, {**people(mailing, 1, 3)[0], "arm": "holdout"}])
    [arm] = done["arms"]
    assert (arm["arm"], arm["count"], arm["lines"], done["arm_lines_left_out"]) == (
        *("sent", 3, [1, 2], 2),
    )


def test_an_upload_rejects_a_line_with_another_arm(
    alice: University, mailing: str, real_client: testing.TestClient
) -> None:
    post(alice, [{**line, "arm": "holdout"} for line in people(mailing, 2)])
    content = f"email,Matchback Mailing ID,Test Arm\np0@example.edu,{mailing},sent\n"
    content += f"p1@example.edu,{mailing},holdout\np2@example.edu,{mailing},sent\n"
    done = upload(alice, real_client, content)
    assert (done.made, done.found, done.rejected) == (1, 1, 1)


def test_more_held_out_lines_than_the_answer_lists_are_counted(
    alice: University, mailing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "MAX_LISTED_HELD_OUT_LINES", 2)
    done = post(alice, [{**line, "arm": "holdout"} for line in people(mailing, 5)])
    assert (done["held_out_count"], done["held_out_lines"], done["held_out_left_out"]) == (
        5,
        [1, 2],
        3,
    )
    accept = {"headers": {"Accept": "application/x-ndjson"}}
    query = f"/v1/emails/export?mailing_id={mailing}&held_out=true"
    exported = alice.call("GET", query, **accept).content.splitlines()
    assert [json.loads(line)["held_out"] for line in exported] == [True] * 5


def test_posts_and_imports_at_once_record_each_user_once(alice: University, mailing: str) -> None:
    lines = people(mailing, 40)
    [spring] = [str(row["_id"]) for row in get_db().fundraisers.find()]

    def create(line: Any) -> int:
        return alice.call("POST", "/v1/emails", {**line, "fundraiser_id": spring}).status

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(post, alice, lines) for _ in range(2)]
        statuses = set(pool.map(create, lines))
        answers = [one.result() for one in done]
    assert statuses <= {201, 409}
    assert get_db().emails.count_documents({}) == 40
    expected = held_out_people(mailing)
    for answer in answers:
        named = [lines[n - 1]["user"]["email"] for n in answer["held_out_lines"]]
        assert sorted(named) == expected


def test_a_change_while_the_experiment_starts_is_refused_or_applies_first(
    alice: University, mailing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change has read the mailing before the first email gets its arm."""
    read = Mailing.fetch(ObjectId(alice.id), mailing)
    real = experiment.build_arm_fields

    def change_first(*args: Any) -> Any:
        with pytest.raises(Conflict):
            experiment_changes.set_experiment(
                read, {"arms": [{**ARMS[0], "held_out": True}], "window_days": 9, "scope": "x"}
            )
        return real(*args)

    monkeypatch.setattr("documents.email_recording.build_arm_fields", change_first)
    email = alice.email(str(read.fundraiser_id), mailing_id=mailing, arm="sent")
    found = alice.get(f"/v1/mailings/{mailing}/experiment")
    assert ([arm["name"] for arm in found["arms"]], found["window_days"]) == (
        ["sent", "holdout"],
        30,
    )
    assert alice.get(f"/v1/emails/{email}")["arm"] == "sent"


def test_an_import_applies_an_experiment_that_changed_since_it_read_the_mailing(
    alice: University, mailing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = experiment.start_experiments

    def change_first(mailings: Any) -> None:
        arms = [{"name": name, "weight": 1, "held_out": False} for name in ("new", "newer")]
        new = {"arms": arms, "window_days": 3, "scope": "fundraiser"}
        experiment_changes.set_experiment(Mailing.fetch(ObjectId(alice.id), mailing), new)
        real(mailings)

    monkeypatch.setattr(imports, "start_experiments", change_first)
    named, *others = people(mailing, 20)
    done = post(alice, [{**named, "arm": "sent"}, *others])
    assert (done["created"], done["refused_count"], done["held_out_count"]) == (19, 1, 0)
    settle_all()
    arms = alice.get(f"/v1/mailings/{mailing}/experiment")["arms"]
    assert sum(arm["recipients"] for arm in arms) == 19


def test_a_dry_run_starts_no_experiment(alice: University, mailing: str) -> None:
    importing = EmailImport(ObjectId(alice.id), dry_run=True)
    user = {"name": "P", "email": "p@example.edu"}
    for number, arm in enumerate(("sent", "third"), 1):
        importing.add(number, {"mailing_id": ObjectId(mailing), "user": user, "arm": arm})
    importing.flush()
    assert (importing.created, importing.refused_count) == (1, 1)
    assert alice.get(f"/v1/mailings/{mailing}/experiment")["started_at"] is None


def test_an_upload_shows_held_out_emails_and_the_recipients_to_send_to(
    alice: University, mailing: str, real_client: testing.TestClient
) -> None:
    lines = "".join(
        f"p{n}@example.edu,{mailing},{arm}\n"
        for n, arm in enumerate(["holdout"] * 3 + ["sent"] * 2)
    )
    content = f"email,Matchback Mailing ID,Test Arm\n{lines}"
    done = upload(alice, real_client, content)
    browser = Browser(real_client)
    browser.sign_in("alice@example.edu")
    page = f"/dashboard/imports/{done.id}"
    assert (done.state, done.made, done.held_out) == ("done", 5, 3)
    assert "Held out 3" in extract_text(browser.get(page))
    settle_all()
    listed = browser.get(f"/dashboard/mailings/{mailing}/recipients.csv").text.splitlines()
    rows = [line.replace('"', "").split(",") for line in listed]
    assert sorted(row[1] for row in rows[1:]) == ["p3@example.edu", "p4@example.edu"]
    assert {row[-1] for row in rows} == {"Arm", "sent"}


def upload(alice: University, client: testing.TestClient, content: str) -> FileImport:
    """Upload a file of emails, and import it."""
    add_staff(alice.id, "alice@example.edu")
    browser = Browser(client)
    browser.sign_in("alice@example.edu")
    browser.get("/dashboard/imports")
    sent = browser.upload("/dashboard/imports", content.encode(), {"records": "emails"})
    page = str(sent.headers["Location"])
    while job.step():
        pass
    browser.get(page)
    assert browser.send(f"{page}/start").status_code == 303
    while job.step():
        pass
    done: FileImport = FileImport.objects.get()
    return done


def test_an_import_in_an_experiment_costs_the_same_for_each_email(
    alice: University, mailing: str
) -> None:
    other = start(alice, alice.fundraiser("Autumn"))
    small, large = 1_000, 10_000
    few = count_commands(alice, people(mailing, small))
    many = count_commands(alice, people(other, large))
    assert many / few <= large / small


def count_commands(alice: University, lines: list[Any]) -> int:
    """Return the number of commands that MongoDB runs to import and settle these lines."""
    before = sum(get_db().command("serverStatus")["opcounters"].values())
    post(alice, lines)
    settle_all()
    return int(sum(get_db().command("serverStatus")["opcounters"].values()) - before)
