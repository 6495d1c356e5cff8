"""The main job, over HTTP, on real MongoDB, Redis, gunicorn and worker processes."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest
from mongoengine import get_db

from documents.recount import recount
from documents.storage.marks import DUE_FILTER
from tools.testbed.cast import BOB, University, create_university, make_event
from tools.testbed.stack import Stack, wait_until

AT = 1_700_000_000
EVE = {"name": "Eve", "email": "eve@example.org"}


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """Return one service for all tests. Each test has its own university."""
    return shared_stack


@pytest.fixture
def alice(stack: Stack) -> University:
    alice = create_university("Alice's University", stack.api())
    alice.set_webhook_key()
    return alice


def settled(alice: University, fundraiser_id: str) -> Any:
    """Return the report after nothing is due."""

    def look() -> Any:
        report = alice.report(fundraiser_id)
        return None if any(report["unsettled"].values()) else report

    return wait_until(look, "everything settled")


def test_a_gift_finds_its_email(alice: University) -> None:
    """A mailing goes out, and is opened and clicked. Four people give, and one gift is refunded."""
    spring = alice.fundraiser(goal={"amount": 100_000, "currency": "USD"})
    mailing = alice.mailing(spring, cost={"amount": 1000, "currency": "USD"})
    people = [{"name": f"P{n}", "email": f"p{n}@example.edu"} for n in range(10)]
    emails = [alice.email(spring, who, mailing_id=mailing, sent_at=None) for who in people]
    events = [make_event(email, "processed", AT) for email in emails]
    events += [make_event(email, "delivered", AT + 1) for email in emails[:8]]
    events += [make_event(email, "bounce", AT + 1, type="bounce") for email in emails[8:]]
    events += [make_event(email, "open", AT + n) for n, email in enumerate(emails[:5])]
    events += [make_event(email, "click", AT + 10) for email in emails[:4]]
    for start in range(0, len(events), 10):
        assert alice.deliver(events[start : start + 10]).status == 202
    assert alice.deliver(events[:20]).status == 202  # a second time
    settled(alice, spring)

    # A gift by link, one by address, one with garbage in the link, and one by a stranger.
    by_link = alice.gift(spring, 2500, people[0], email_id=emails[0])
    by_address = alice.gift(
        spring, 1001, people[1] | {"email": " P1@EXAMPLE.edu"}, donated_at="2023-11-20T00:00:00Z"
    )
    garbage = alice.gift(
        spring, 2000, people[2], email_id="utm=1", donated_at="2023-11-20T00:00:00Z"
    )
    alice.gift(spring, 700, EVE, email_id="f" * 24)
    report = settled(alice, spring)

    found = {gift: alice.get(f"/v1/donations/{gift}") for gift in (by_link, by_address, garbage)}
    assert [one["match"] for one in found.values()] == ["link", "address", "address"]
    assert [one["email_id"] for one in found.values()] == emails[:3]
    assert report["emails"] == {
        "sent": 10,
        "delivered": 8,
        "bounced": 2,
        "dropped": 0,
        "opened": 5,
        "opens": 5,
        "machine_opens": 0,
        "clicked": 4,
        "clicks": 4,
        "unsubscribed": 0,
        "spam_reported": 0,
        "donated": 3,
    }
    assert report["donations"] == {
        "count": 4,
        "donors": 4,
        "raised": {"USD": 6201},
        "refunded": {},
        "average": {"USD": 1550},
        "by_match": {
            "link": {"count": 1, "raised": {"USD": 2500}},
            "address": {"count": 2, "raised": {"USD": 3001}},
            "pinned": {"count": 0, "raised": {}},
            "none": {"count": 1, "raised": {"USD": 700}},
        },
    }
    assert report["rates"] == {
        "delivery": 0.8,
        "open": 0.625,
        "click": 0.5,
        "click_to_open": 0.8,
        "conversion": 0.375,
    }
    assert report["raised_per_email"] == {"USD": 620.1}
    assert report["cost_per_unit_raised"] == {"USD": 0.1613}
    mine = alice.get(f"/v1/mailings/{mailing}/report")
    assert mine["donations"]["raised"] == {"USD": 5501}
    assert mine["emails"] == report["emails"]
    best = alice.get("/v1/users?sort=-donations_count&limit=3")["data"]
    assert {user["donations_count"] for user in best} == {1}

    alice.call("PATCH", f"/v1/donations/{by_link}", {"status": "refunded"})
    alice.call("PATCH", f"/v1/donations/{by_address}", {"refunded_amount": 1})
    report = settled(alice, spring)
    assert report["donations"]["raised"] == {"USD": 3700}
    assert report["donations"]["refunded"] == {"USD": 2501}
    assert report["emails"]["donated"] == 2
    assert alice.get(f"/v1/emails/{emails[0]}")["donated"] is False
    assert list(recount.find_drifts()) == []


def test_the_same_delivery_sent_fifty_times_eight_at_a_time_counts_once(alice: University) -> None:
    spring = alice.fundraiser()
    emails = [alice.email(spring, {"name": "P", "email": f"p{n}@x.edu"}) for n in range(20)]
    events = [make_event(email, type_, AT) for email in emails for type_ in ("open", "click")]
    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(lambda _: alice.deliver(events).status, range(50)))
    assert answers == [202] * 50
    report = settled(alice, spring)["emails"]
    assert (report["opens"], report["clicks"]) == (20, 20)
    assert (report["opened"], report["clicked"]) == (20, 20)
    assert list(recount.find_drifts()) == []


def test_the_same_gift_sent_fifty_times_eight_at_a_time_is_one_gift(alice: University) -> None:
    spring = alice.fundraiser()
    body = {"fundraiser_id": spring, "amount": 2500, "currency": "USD", "donor": BOB}
    with ThreadPoolExecutor(8) as senders:
        answers = list(
            senders.map(
                lambda _: alice.call("POST", "/v1/donations", body | {"external_id": "pi_1"}),
                range(50),
            )
        )
    assert sorted(answer.status for answer in answers) == [200] * 49 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert settled(alice, spring)["donations"]["count"] == 1


def test_fifty_concurrent_changes_leave_one_of_them(alice: University) -> None:
    spring = alice.fundraiser()
    gift = alice.gift(spring, 2500)
    with ThreadPoolExecutor(50) as clients:
        answers = list(
            clients.map(
                lambda amount: (
                    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": amount}).status
                ),
                range(1, 51),
            )
        )
    assert set(answers) == {200}
    left = 2500 - alice.get(f"/v1/donations/{gift}")["refunded_amount"]
    assert settled(alice, spring)["donations"]["raised"] == {"USD": left}
    assert list(recount.find_drifts()) == []


def test_a_killed_worker_loses_nothing_and_counts_nothing_twice(
    alice: University, stack: Stack
) -> None:
    """SIGKILL hits it during 2,000 donations. After a restart, every counter is exact."""
    fundraisers = [alice.fundraiser(f"F{n}") for n in range(2)]
    emails = {
        fundraiser: [
            alice.email(fundraiser, {"name": "P", "email": f"p{n}@x.edu"}) for n in range(20)
        ]
        for fundraiser in fundraisers
    }
    chance = random.Random(1)

    def give(number: int) -> tuple[str, int]:
        fundraiser = fundraisers[number % 2]
        amount = 100 + number
        ref = chance.choice([*emails[fundraiser], "", "garbage"])
        donor = {"name": "P", "email": f"p{chance.randrange(25)}@x.edu"}
        alice.gift(fundraiser, amount, donor, email_id=ref, external_id=f"gift-{number}")
        return fundraiser, amount

    stack.kill("worker")
    with ThreadPoolExecutor(8) as senders:
        given = list(senders.map(give, range(2000)))
    waiting = due = get_db().donations.count_documents(DUE_FILTER)

    def are_less_than(count: int) -> bool:
        return bool(get_db().donations.count_documents(DUE_FILTER) < count)

    assert waiting > 1000
    left_at_kills = []
    for _ in range(3):
        stack.start_worker()
        wait_until(partial(are_less_than, due), "progress")
        stack.kill("worker", signal.SIGKILL)
        due = get_db().donations.count_documents(DUE_FILTER)
        left_at_kills.append(due)
        if due == 0:
            break
    assert any(0 < left < waiting for left in left_at_kills), "it was never killed at work"
    stack.start_worker()
    for fundraiser in fundraisers:
        figures = settled(alice, fundraiser)["donations"]
        amounts = [amount for where, amount in given if where == fundraiser]
        assert (figures["count"], figures["raised"]) == (1000, {"USD": sum(amounts)})
        by_match = figures["by_match"].values()
        assert sum(of["raised"].get("USD", 0) for of in by_match) == sum(amounts)
    assert list(recount.find_drifts()) == []


def test_a_killed_web_service_loses_nothing_acknowledged(alice: University, stack: Stack) -> None:
    spring = alice.fundraiser()

    def give(number: int) -> bool:
        try:
            alice.gift(spring, 100, external_id=f"gift-{number}")
        except (httpx.HTTPError, AssertionError):
            return False
        return True

    with ThreadPoolExecutor(8) as senders:
        outcomes = [senders.submit(give, number) for number in range(400)]
        wait_until(lambda: sum(one.done() for one in outcomes) > 100, "a hundred gifts")
        stack.kill("web", signal.SIGKILL)
        acknowledged = {number for number, one in enumerate(outcomes) if one.result()}
    stack.start_web()
    assert 100 < len(acknowledged) < 400
    alice.api = stack.api()
    with ThreadPoolExecutor(8) as senders:  # clients repeat requests without a response
        again = list(senders.map(give_again(alice, spring), range(400)))
    assert {number for number, status in enumerate(again) if status == 201}.isdisjoint(acknowledged)
    report = settled(alice, spring)
    assert report["donations"]["count"] == 400
    assert report["donations"]["raised"] == {"USD": 40_000}


def give_again(alice: University, fundraiser_id: str) -> Any:
    def give(number: int) -> int:
        body = {"fundraiser_id": fundraiser_id, "amount": 100, "currency": "USD", "donor": BOB}
        external = {"external_id": f"gift-{number}"}
        try:
            return alice.call("POST", "/v1/donations", body | external).status
        except httpx.TransportError:  # threads share connections, and one can close another's
            return give(number)

    return give
