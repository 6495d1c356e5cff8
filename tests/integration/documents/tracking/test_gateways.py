"""Gateways with browser user agents, on the real server: trap links and shared addresses."""

import random
import threading
from datetime import timedelta
from typing import Any

import pytest
from bson import Binary, ObjectId
from falcon import testing
from mongoengine import get_db

from documents.counters import LEDGER
from documents.ip_key import make_ip_key
from documents.privacy import retention
from documents.recount import recount
from documents.storage.transaction import in_transaction
from documents.tracking import rules, shared_ips, stored_clicks
from documents.tracking.click_signs import find_shared
from documents.tracking.effects import compute_event_changes
from documents.tracking.relabelling import Relabelling
from documents.tracking.rules import Click, MachineClickRule, find_machine_reasons
from documents.values.time import now
from jobs.sweep import sweep_due_records
from matchback.engine import Tx, settle
from tools.testbed.cast import Api, University, create_university, make_event
from tools.testbed.settled import settle_all

AT = 1_700_000_000
LINK = "https://give.example.edu/spring"
RULE = MachineClickRule()
GATEWAY = "192.0.2.7"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def recipients(alice: University, spring: str, mailing: str, number: int) -> list[str]:
    return [
        alice.email(
            spring,
            {"name": f"Person {index}", "email": f"p{index}@example.edu"},
            mailing_id=mailing,
        )
        for index in range(number)
    ]


def click(email: str, seconds: float, url: str = LINK, **more: Any) -> dict[str, Any]:
    told = {"useragent": "Mozilla/5.0", "ip": GATEWAY, **more}
    key = f"{email}-{seconds}-{url}-{told['ip']}-{told['useragent']}"
    return make_event(email, "click", AT + seconds, url=url, sg_event_id=key, **told)


def counts(alice: University, email: str) -> tuple[int, int]:
    found = alice.get(f"/v1/emails/{email}")
    return found["clicks"], found["machine_clicks"]


def reasons(email: str) -> list[str | None]:
    rows = get_db().events.find({"email_id": ObjectId(email), "type": "click"}).sort("at", 1)
    return [row.get("machine_reason") for row in rows]


@pytest.mark.parametrize("trap_first", [True, False])
def test_a_trap_link_reveals_its_client_in_either_order(
    alice: University, trap_first: bool
) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing)
    token = alice.get(f"/v1/emails/{email}")["trap_token"]
    posts = [
        [click(email, 30, f"{LINK}?trap={token}")],
        [click(email, 10), click(email, 80, f"{LINK}/faq"), click(email, 95)],
    ]
    for post in posts if trap_first else reversed(posts):
        alice.deliver(post)
        settle_all()
    alice.deliver([click(email, 40, ip="198.51.100.1")])  # Bob, with the same browser
    settle_all()
    assert reasons(email) == ["trap", "trap", None, "trap", None]
    assert counts(alice, email) == (2, 3)
    links = alice.get(f"/v1/mailings/{mailing}/links")["data"]
    assert {link["url"]: (link["clicks"], link["machine_clicks"]) for link in links} == {
        LINK: (2, 1),
        f"{LINK}/faq": (0, 1),
    }
    assert list(recount.find_drifts()) == []


def test_a_trap_token_ties_no_gift(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    token = alice.get(f"/v1/emails/{email}")["trap_token"]
    gift = alice.gift(spring, donor={"name": "Eve"}, email_id=token)
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["match"] == "none"


def test_an_address_that_clicks_for_several_recipients_is_a_machine(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    emails = recipients(alice, spring, mailing, 7)
    for index, email in enumerate(emails[:4]):
        alice.deliver([click(email, index)])
        settle_all()
    assert [counts(alice, email) for email in emails[:4]] == [(1, 0)] * 4
    alice.deliver([click(emails[4], 5), click(emails[5], 60), click(emails[6], 5, ip="192.0.2.8")])
    settle_all()
    assert [counts(alice, email) for email in emails] == [(0, 1)] * 5 + [(1, 0)] * 2
    assert reasons(emails[0]) == ["shared_ip"]
    assert alice.get(f"/v1/emails/{emails[0]}")["first_clicked_at"] is None
    report = alice.get(f"/v1/mailings/{mailing}/report")
    assert (report["emails"]["clicks"], report["machines"]["clicks"]) == (2, 5)
    assert list(recount.find_drifts()) == []


def test_addresses_of_different_mailings_are_not_compared(alice: University) -> None:
    spring = alice.fundraiser()
    emails = [
        *(recipients(alice, spring, alice.mailing(spring), 1)[0] for _ in range(6)),
        *(alice.email(spring) for _ in range(6)),
    ]
    alice.deliver([click(email, 0) for email in emails])
    settle_all()
    assert {counts(alice, email) for email in emails} == {(1, 0)}
    keys = get_db().events.distinct("ip_key")
    assert len(keys) == len(emails)


def test_no_stored_event_contains_an_address(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    alice.deliver([click(email, 0), make_event("f" * 24, "click", AT, ip=GATEWAY, email="x@x.edu")])
    alice.deliver([make_event(email, "open", AT, ip=GATEWAY)])
    settle_all()
    rows = list(get_db().events.find())
    assert GATEWAY not in repr(rows)
    assert {row["type"] for row in rows if "ip_key" in row} == {"click"}


@pytest.mark.parametrize("seed", range(4))
def test_labels_do_not_depend_on_the_order_or_on_batches(
    alice: University, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Clicks in any order and batches have the labels of one judgement of them all."""
    for module in (rules, stored_clicks):
        monkeypatch.setattr(module, "MAX_CLICKS_PER_SECOND", 6)
    for patched in (rules, shared_ips):
        monkeypatch.setattr(patched, "MAX_IP_CLICKS_PER_SECOND", 4)
    if seed % 2:
        monkeypatch.setattr(stored_clicks, "MIN_CLICKS_PER_READ", 0)
        monkeypatch.setattr(stored_clicks, "CLICKS_PER_EMAIL", 0)
        monkeypatch.setattr(shared_ips, "MIN_CLICKS_PER_READ", 0)
        monkeypatch.setattr(shared_ips, "CLICKS_PER_SLOT", 0)
    chance = random.Random(seed)
    spring = alice.fundraiser()
    emails = recipients(alice, spring, alice.mailing(spring), 12)
    traps = {email: alice.get(f"/v1/emails/{email}")["trap_token"] for email in emails}
    events = []
    for _ in range(120):
        email = chance.choice(emails)
        url = chance.choice([LINK, f"{LINK}/a", f"{LINK}/b", f"{LINK}?t={traps[email]}"])
        seconds = chance.choice([0, 0, 57, 61, 3, 118, 122, 200]) + chance.randrange(6)
        events.append(
            click(
                email,
                seconds,
                url,
                ip=chance.choice([GATEWAY, "192.0.2.8", "192.0.2.9", "bad"]),
                useragent=chance.choice(["Mozilla/5.0", "Mozilla/4.0"]),
            )
        )
    events += [make_event(email, "delivered", AT + chance.randrange(9)) for email in emails[:6]]
    chance.shuffle(events)
    while events:
        some, events = events[: (number := chance.randint(1, 40))], events[number:]
        alice.deliver(some)
        settle_all()
    stored = list(get_db().events.find({"type": "click"}))
    assert_labels(stored)
    found = {row.get("machine_reason") for row in stored}
    assert found >= {"trap", "shared_ip"}
    assert list(recount.find_drifts()) == []
    progress = Relabelling.continue_with(RULE, again=True)
    while progress.step(RULE):
        pass
    assert progress.changed == 0
    assert_labels(list(get_db().events.find({"type": "click"})))


def assert_labels(stored: list[Any]) -> None:
    """Compare the labels with one judgement of all stored clicks."""
    shared = set()
    for key in {row["ip_key"] for row in stored if "ip_key" in row}:
        rows = sorted((row for row in stored if row.get("ip_key") == key), key=lambda r: r["at"])
        marks = find_shared(
            [row["at"] for row in rows],
            [row["email_id"] for row in rows],
            RULE.recipients,
            RULE.recipient_seconds,
            rules.MAX_IP_CLICKS_PER_SECOND,
        )
        shared |= {row["_id"] for row, mark in zip(rows, marks, strict=True) if mark}
    for email in get_db().emails.find():
        rows = [row for row in stored if row["email_id"] == email["_id"]]
        clicks = [
            Click(
                row["at"],
                row["url"],
                row["user_agent"],
                row.get("ip_key"),
                trap="trap" in row,
                shares_ip=row["_id"] in shared,
            )
            for row in rows
        ]
        expected = find_machine_reasons(clicks, email.get("delivered_at"), RULE)
        assert [row.get("machine_reason") for row in rows] == expected


def test_concurrent_workers_miss_no_shared_address(alice: University) -> None:
    """Two workers count clicks of one mailing at once, because one has lost its turn.

    Each reads before the other writes. The write to the mailing makes one of them start again.
    """
    spring = alice.fundraiser()
    emails = recipients(alice, spring, alice.mailing(spring), 5)
    alice.deliver([click(email, 0) for email in emails[:3]])
    settle_all()
    # The emails are due, so their clicks do not reach the counters of the mailing yet.
    get_db().emails.update_many({}, {"$set": {"due": now()}})
    stored = get_db().events.find_one({"type": "click"})
    both_have_read = threading.Barrier(2, timeout=20)
    key = make_ip_key(ObjectId(alice.id), GATEWAY)

    def count(tx: Tx, email: str) -> None:
        event: Any = {**stored, "_id": Binary(email.encode()), "ip_key": key}
        event = {name: event[name] for name in event if name not in ("ip_slot", "report_key")}
        # Clicks on one link would both write to that link.
        event |= {"email_id": ObjectId(email), "url": f"{LINK}/{email}"}
        row: Any = tx.database.emails.find_one({"_id": ObjectId(email)}, session=tx.session)
        changes = compute_event_changes(tx, [event], {row["_id"]: row}, RULE)
        if tx.attempt == 0:
            both_have_read.wait()
        changes.inserts["events"] = [event]
        settle(tx, LEDGER, changes)

    threads = [threading.Thread(target=in_transaction, args=(count, one)) for one in emails[3:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle_all()
    assert {counts(alice, email) for email in emails} == {(0, 1)}
    assert list(recount.find_drifts()) == []


def test_clicks_of_one_address_take_linear_work(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click reads a bounded number of the thousands that one address made at that time."""
    spring = alice.fundraiser()
    emails = recipients(alice, spring, alice.mailing(spring), 2)
    alice.deliver([click(emails[0], 0)])
    settle_all()
    (row,) = get_db().events.find({"type": "click"})
    get_db().events.insert_many(
        {**row, "_id": Binary(b"%d" % number), "report_key": ObjectId(), "email_id": ObjectId()}
        | {"machine": True, "machine_reason": "shared_ip", "shares_ip": True}
        for number in range(5_000)
    )
    compared: list[int] = []

    def counted(clicks: Any, near: Any, rule: MachineClickRule) -> Any:
        near = list(near)
        compared.append(len(near))
        return find(clicks, near, rule)

    find = shared_ips._find_shared
    monkeypatch.setattr(shared_ips, "_find_shared", counted)
    alice.deliver([click(emails[1], 1)])
    sweep_due_records()  # the counters exclude the copies
    assert compared
    assert max(compared) <= rules.MAX_IP_CLICKS_PER_SECOND + 2
    assert reasons(emails[1]) == ["shared_ip"]


def test_erasure_and_retention_remove_the_keys_of_addresses(alice: University) -> None:
    spring = alice.fundraiser()
    emails = recipients(alice, spring, alice.mailing(spring), 2)
    alice.deliver([click(email, 0) for email in emails])
    settle_all()
    user = alice.get(f"/v1/emails/{emails[0]}")["user_id"]
    assert alice.call("DELETE", f"/v1/users/{user}?erase=true").status in (202, 204)
    settle_all()
    assert get_db().events.count_documents({"ip_key": {"$exists": True}}) == 1
    retention.drop_events(now() + timedelta(days=1))
    assert get_db().events.count_documents({"ip_key": {"$exists": True}}) == 0


def test_a_repeated_event_of_a_recipient_hides_no_shared_address(alice: University) -> None:
    """The batch knows the email of a repeated event, and must still label its stored click."""
    spring = alice.fundraiser()
    emails = recipients(alice, spring, alice.mailing(spring), 5)
    alice.deliver([click(email, 0) for email in emails[:4]])
    settle_all()
    alice.deliver([click(emails[0], 0), click(emails[4], 1)])
    settle_all()
    assert [counts(alice, email) for email in emails] == [(0, 1)] * 5
