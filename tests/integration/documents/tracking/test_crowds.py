"""Thousands of clicks on one email: each further click costs the same, and blocks no one else."""

import random
from typing import Any

import pytest
from bson import Binary, ObjectId
from falcon import testing
from mongoengine import get_db

from documents.tracking import click_labels, stored_clicks
from documents.tracking import rules as machine_clicks
from documents.tracking.relabelling import Relabelling
from documents.tracking.rules import Click, MachineClickRule, find_machine_reasons
from jobs.sweep import sweep_due_records
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
LINK = "https://give.example.edu/spring"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def clicks() -> list[Any]:
    return list(get_db().events.find({"type": "click"}))


def labels(rows: list[Any]) -> list[Any]:
    return [row.get("machine_reason") for row in rows]


@pytest.mark.parametrize("links", [1, 2])
def test_one_more_click_reads_a_bounded_number_of_clicks(
    alice: University, monkeypatch: pytest.MonkeyPatch, links: int
) -> None:
    email = alice.email(alice.fundraiser())
    alice.deliver([make_event(email, "click", AT, url=LINK)])
    settle_all()
    (row,) = clicks()
    names = [f"{LINK}/{number % links}" for number in range(6_000)]
    labelled = {"machine": True, "machine_reason": "burst"}
    get_db().events.insert_many(
        {**row, "_id": Binary(b"%d" % number), "report_key": ObjectId(), "url": name, **labelled}
        for number, name in enumerate(names)
    )
    judged: list[int] = []

    def counted(rows: Any, *args: Any) -> Any:
        judged.append(len(rows))
        return find_machine_reasons(rows, *args)

    monkeypatch.setattr(click_labels, "find_machine_reasons", counted)
    alice.deliver([make_event(email, "click", AT + 1, url=LINK)])
    sweep_due_records()  # the counters exclude the copies
    assert judged
    assert max(judged) <= machine_clicks.MAX_CLICKS_PER_SECOND + 2
    (last,) = get_db().events.find({"at": {"$gt": row["at"]}})
    assert last["machine_reason"] == "burst"


@pytest.mark.parametrize("seed", range(4))
def test_labels_agree_with_a_new_judgement(
    alice: University, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Small crowds, with clicks in any order and in any batches."""
    for module in (machine_clicks, stored_clicks):
        monkeypatch.setattr(module, "MAX_CLICKS_PER_SECOND", 3)
    monkeypatch.setattr(stored_clicks, "MIN_CLICKS_PER_READ", 0)
    monkeypatch.setattr(stored_clicks, "CLICKS_PER_EMAIL", 0)
    chance = random.Random(seed)
    emails = [alice.email(alice.fundraiser()) for _ in range(2)]
    events = [
        make_event(
            chance.choice(emails),
            "click",
            AT + chance.choice([0, 0, 0, 1, 2, 3, 5, 8, 8, 9, 10.5, 12, 40]),
            url=f"{LINK}/{chance.randrange(3)}",
            useragent=chance.choice(["Mozilla/5.0", "Mozilla/5.0", "curl/8"]) + f" ({number})",
            sg_event_id=str(number),
        )
        for number in range(40)
    ]
    delivered = {email: AT + chance.randrange(-1, 9) for email in emails}
    events += [make_event(email, "delivered", at) for email, at in delivered.items()]
    events += [make_event(email, "delivered", at + 1) for email, at in delivered.items()]
    chance.shuffle(events)
    while events:
        some, events = events[: (number := chance.randint(1, 8))], events[number:]
        alice.deliver(some)
        settle_all()
    for email in get_db().emails.find():
        rows = list(get_db().events.find({"email_id": email["_id"], "type": "click"}))
        told = [Click(row["at"], row["url"], row["user_agent"]) for row in rows]
        assert labels(rows) == find_machine_reasons(told, email["delivered_at"], MachineClickRule())
    progress = Relabelling.continue_with(MachineClickRule(), again=True)
    while progress.step(MachineClickRule()):
        pass
    assert progress.changed == 0
    assert set(labels(clicks())) >= {"agent", "burst"}
