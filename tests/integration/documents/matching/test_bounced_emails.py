"""Emails that did not arrive match no gift by address, whenever the bounce arrives."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner
from falcon import testing
from mongoengine import get_db

from config import database
from documents.matching.policy import MatchPolicy
from documents.matching.preview import preview_policy
from service.cli import main
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

SENT, LATER_SENT = "2025-11-20T00:00:00Z", "2025-11-21T00:00:00Z"
DELIVERED, BOUNCED, CLICKED = 1_763_690_000, 1_763_700_000, 1_763_800_000  # in November 2025
GIVEN, LATER_BOUNCED = "2025-11-23T00:00:00Z", 1_763_900_000  # half a day later
BARE = ("email_id", "sg_message_id")


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    monkeypatch.setattr("config.database.connect_database", database.get_client)
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def of(alice: University, gift: str, *names: str) -> tuple[Any, ...]:
    """Return values of the gift's match. Deciding every gift again must change nothing."""
    settle_all()
    pages = preview_policy(ObjectId(alice.id), MatchPolicy(), lambda held: held)
    assert [change for _, changes in pages for change in changes] == []
    found = alice.get(f"/v1/donations/{gift}/match")
    return tuple(found[name] for name in names)


def reason(alice: University, gift: str, email: str) -> str:
    considered = of(alice, gift, "considered")[0]
    return str(next(one["reason"] for one in considered if one["email_id"] == email))


def bounce(email: str, at: int = BOUNCED, **more: Any) -> dict[str, Any]:
    return make_event(email, "bounce", at, **more)


def bare_bounce(at: int) -> dict[str, Any]:
    return {name: value for name, value in bounce("x", at).items() if name not in BARE}


@pytest.mark.usefixtures("late_touch")
@pytest.mark.parametrize("at", [BOUNCED, LATER_BOUNCED], ids=["before the gift", "after the gift"])
@pytest.mark.parametrize("kind", ["bounce", "blocked", "dropped"])
def test_a_late_bounce_moves_the_gift_to_the_delivered_email(
    alice: University, at: int, kind: str
) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    first, second = (
        alice.email(spring, mailing_id=mailing, sent_at=at) for at in (SENT, LATER_SENT)
    )
    gift = alice.gift(spring, donated_at=GIVEN)
    alice.deliver([make_event(first, "delivered", DELIVERED)])
    assert of(alice, gift, "email_id", "touch") == (second, "sent")
    failed = (
        make_event(second, "dropped", at) if kind == "dropped" else bounce(second, at, type=kind)
    )
    alice.deliver([failed])
    match, email, history = of(alice, gift, "match", "email_id", "history")
    assert (match, email) == ("address", first)
    assert [(one["email_id"], one["match"]) for one in history] == [(second, "address")]
    assert reason(alice, gift, second) == ("dropped" if kind == "dropped" else "bounced")
    assert alice.get(f"/v1/emails/{second}")["donated"] is False
    assert alice.get(f"/v1/emails/{first}")["raised"] == {"USD": 2500}
    alice.deliver([failed])  # a repetition decides nothing again
    assert of(alice, gift, "history") == (history,)


def test_a_gift_whose_only_email_bounced_matches_none(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    alice.deliver([make_event(email, "delivered", DELIVERED), bounce(email)])
    gift = alice.gift(spring, donated_at=GIVEN)
    assert of(alice, gift, "match", "email_id") == ("none", None)
    assert reason(alice, gift, email) == "bounced"
    named = alice.gift(spring, donated_at=GIVEN, email_id=email)
    assert of(alice, named, "match", "email_id") == ("link", email)
    assert alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": email}).status == 200
    assert of(alice, gift, "match", "email_id") == ("pinned", email)


@pytest.mark.usefixtures("late_touch")
@pytest.mark.parametrize("kind", ["delivered", "click", "open"])
def test_a_later_proof_of_arrival_gives_the_gift_back(alice: University, kind: str) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    gift = alice.gift(spring, donated_at=GIVEN)
    alice.deliver([bounce(email, type="blocked")])
    assert of(alice, gift, "match") == ("none",)
    alice.deliver([make_event(email, kind, LATER_BOUNCED, url="https://give.example.edu/")])
    assert of(alice, gift, "match", "email_id", "touch") == ("address", email, "sent")


def test_a_machines_click_is_no_proof_of_arrival(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    gift = alice.gift(spring, donated_at=GIVEN)
    alice.deliver([bounce(email), make_event(email, "open", CLICKED, sg_machine_open=True)])
    assert of(alice, gift, "match") == ("none",)
    link = "https://give.example.edu/"
    alice.deliver([make_event(email, "click", CLICKED, url=link)])
    assert of(alice, gift, "match", "touch") == ("address", "clicked")
    burst = [make_event(email, "click", CLICKED + n, url=f"{link}{n}") for n in (1, 2)]
    alice.deliver(burst)
    assert of(alice, gift, "match") == ("none",)


@pytest.mark.usefixtures("late_touch")
@pytest.mark.parametrize("named", [True, False], ids=["with ID", "address only"])
def test_every_order_of_arrival_gives_the_same_match(alice: University, named: bool) -> None:
    """Each order of two emails, the gift, a bounce and a delivery has its own fundraiser."""
    steps = ("first", "second", "gift", "bounce", "delivered")
    orders = [
        order
        for order in itertools.permutations(steps)
        # An ID is not known before its email.
        if order.index("first") < order.index("delivered")
        and (not named or order.index("second") < order.index("bounce"))
    ]
    arrivals = [Arrival(alice, order, named) for order in orders]
    for number in range(len(steps)):
        for arrival in arrivals:
            arrival.take_step(number)
        settle_all()
    for arrival in arrivals:
        arrival.check()
    assert len(orders) == (30 if named else 60)


class Arrival:
    """One order in which two emails to a donor, the donor's gift, and two events arrive."""

    def __init__(self, alice: University, order: tuple[str, ...], named: bool) -> None:
        self.alice, self.order, self.named = alice, order, named
        self.spring = alice.fundraiser()
        self.who = {"name": "Bob", "email": f"bob-{'-'.join(order)}@example.edu"}
        self.made: dict[str, str] = {}

    def take_step(self, number: int) -> None:
        actions: dict[str, Callable[[], Any]] = {
            "first": lambda: self.send("first", "2025-11-10T00:00:00Z"),
            "second": lambda: self.send("second", LATER_SENT),
            "gift": self.give,
            "bounce": self.bounce,
            "delivered": lambda: self.alice.deliver(
                [make_event(self.made["first"], "delivered", DELIVERED)]
            ),
        }
        actions[self.order[number]]()

    def send(self, name: str, sent_at: str) -> None:
        self.made[name] = self.alice.email(self.spring, user=self.who, sent_at=sent_at)

    def give(self) -> None:
        self.made["gift"] = self.alice.gift(self.spring, donor=self.who, donated_at=GIVEN)

    def bounce(self) -> None:
        bare = bare_bounce(LATER_BOUNCED)
        event = bounce(self.made["second"], LATER_BOUNCED) if self.named else bare
        self.alice.deliver([event | {"email": self.who["email"], "sg_event_id": str(self.order)}])

    def check(self) -> None:
        found = self.alice.get(f"/v1/donations/{self.made['gift']}/match")
        assert (found["match"], found["email_id"]) == ("address", self.made["first"]), self.order
        second = self.alice.get(f"/v1/emails/{self.made['second']}")
        assert second["bounced_at"] is not None, self.order


@pytest.mark.parametrize("kind", ["open", "bounce"])
def test_an_event_that_its_new_email_ties_decides_gifts_of_the_same_batch(
    alice: University, kind: str
) -> None:
    """The decision reads the database, which has the event's effect only after the transaction."""
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    alice.make("users", **BOB)
    event = make_event("x", kind, BOUNCED, category=mailing)
    alice.deliver([{name: value for name, value in event.items() if name not in BARE}])
    settle_all()
    older, newer = ("2025-11-01T00:00:00Z", LATER_SENT)
    other = alice.email(spring, sent_at=newer if kind == "open" else older)
    settle_all()
    gift = alice.gift(spring, donated_at=GIVEN)
    email = alice.email(spring, mailing_id=mailing, sent_at=SENT)
    expected = email if kind == "open" else other
    assert of(alice, gift, "email_id") == (expected,)


def test_gifts_of_an_earlier_version_stay_until_they_are_rematched(alice: University) -> None:
    spring = alice.fundraiser()
    first, second = (alice.email(spring, sent_at=at) for at in (SENT, LATER_SENT))
    gift = alice.gift(spring, donated_at=GIVEN)
    assert of(alice, gift, "email_id") == (second,)
    # The earlier version counted the bounce, and did not mark the gift.
    bounced_at = datetime.fromtimestamp(BOUNCED, UTC)
    get_db().emails.update_one({"_id": ObjectId(second)}, {"$set": {"bounced_at": bounced_at}})
    command = ("rematch", "--organization", alice.id)
    dry_run = CliRunner().invoke(main, (*command, "--dry-run"))
    assert dry_run.stdout.startswith("Donations checked: 1. Would change: 1.\n  address -> address")
    assert alice.get(f"/v1/donations/{gift}")["email_id"] == second
    assert CliRunner().invoke(main, command).stdout == "Donations to match again: 1\n"
    get_db().emails.update_one({"_id": ObjectId(second)}, {"$set": {"due": datetime.now(UTC)}})
    assert of(alice, gift, "email_id") == (first,)


def test_a_preview_of_a_policy_knows_about_bounces(alice: University) -> None:
    spring = alice.fundraiser()
    first, second = (alice.email(spring, sent_at=at) for at in (SENT, LATER_SENT))
    alice.gift(spring, donated_at=GIVEN)
    alice.deliver([bounce(first)])
    settle_all()
    command = ("rematch", "--organization", alice.id, "--dry-run", "--touch", "first")
    assert "Would change: 0." in CliRunner().invoke(main, command).stdout
    alice.deliver([make_event(first, "delivered", LATER_BOUNCED)])
    settle_all()
    assert "Would change: 1." in CliRunner().invoke(main, command).stdout
    assert first != second
