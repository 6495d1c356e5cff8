"""Outcomes are exact whatever the order of emails, gifts and their settling."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.concurrency.drain import Drain
from documents.outcomes import assign, late_emails, windows
from documents.recount import recount
from documents.settling import settle as settling
from documents.settling.policies import SettlingPolicy
from documents.storage.transaction import in_transaction
from jobs.sweep import sweep_due_records
from tests.integration.documents.outcomes.recomputed import (
    read_arms,
    read_parts,
    recompute_arms,
    recompute_parts,
)
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

SENT, GIVEN, LATE = "2025-11-20T00:00:00Z", "2025-11-23T00:00:00Z", "2026-02-20T00:00:00Z"
EVE = {"name": "Eve", "email": "eve@example.org"}
ARMS = [{"name": "sent", "weight": 1}, {"name": "holdout", "weight": 1, "held_out": True}]
EVENT_AT = 1_763_700_000  # 2025-11-21T04:40:00Z


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


@pytest.fixture(params=[0, late_emails.MAX_DIRECTLY_MARKED_GIFTS], ids=["noted", "marked"])
def late(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test both with notes and with immediate marks."""
    monkeypatch.setattr(late_emails, "MAX_DIRECTLY_MARKED_GIFTS", request.param)


def experiment(alice: University, spring: str, **more: Any) -> str:
    mailing = alice.mailing(spring, sent_at=SENT)
    answer = alice.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": ARMS, **more})
    assert answer.status == 200, answer.content
    return mailing


def check_figures() -> dict[str, dict[Any, int]]:
    """Settle everything, and return the correct figures by the arm's name."""
    settle_all()
    figures = read_arms()
    assert figures == {id_: one for id_, one in recompute_arms().items() if one}
    assert read_parts() == {id_: one for id_, one in recompute_parts().items() if one}
    assert get_db().late_touches.count_documents({}) == 0
    assert get_db().donations.count_documents({"outcomes_due": {"$exists": True}}) == 0
    return {id_.split(":")[1]: one for id_, one in figures.items()}


def settle_one(source: str, id_: str) -> None:
    """Settle one record, as another worker would."""
    one = {"_id": ObjectId(id_)}
    in_transaction(settling._settle, Drain(("test", None), 9), one, SettlingPolicy(), (source,))


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("scope", ["fundraiser", "organization"])
@pytest.mark.parametrize("arm", ["sent", "holdout"])
def test_an_email_that_is_recorded_or_deleted_after_gifts(
    alice: University, arm: str, scope: str
) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    mailing = experiment(alice, spring, scope=scope)
    user = alice.make("users", **EVE)["id"]
    for amount, currency in ((100, "USD"), (7, "USD"), (50, "EUR")):
        alice.gift(spring, amount, EVE, donated_at=GIVEN, currency=currency)
    alice.gift(autumn, 1000, EVE, donated_at=GIVEN)
    alice.gift(spring, 1, EVE, donated_at=LATE)
    alice.gift(spring, 1, EVE, donated_at="2025-11-19T23:59:59Z")
    alice.gift(spring, 1, donated_at=GIVEN)
    settle_all()
    values = {"mailing_id": mailing, "fundraiser_id": spring, "user_id": user, "arm": arm}
    email = alice.make("emails", **values)["id"]
    found = check_figures()[arm]
    raised = 107 if scope == "fundraiser" else 1107
    assert (found["givers"], found["raised", "USD"], found["raised", "EUR"]) == (1, raised, 50)
    alice.call("DELETE", f"/v1/emails/{email}")
    assert check_figures() == {}


def test_the_window_includes_its_start_and_excludes_its_end(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = experiment(alice, spring, window_days=1)
    alice.email(spring, mailing_id=mailing)
    for at, amount in (
        ("2025-11-19T23:59:59.999Z", 1),
        (SENT, 20),
        ("2025-11-20T23:59:59.999Z", 300),
        ("2025-11-21T00:00:00Z", 4000),
    ):
        alice.gift(spring, amount, donated_at=at)
    settle_all()
    [figures] = recompute_arms().values()
    assert figures["raised", "USD"] == 320
    check_figures()


def test_a_gift_counts_for_each_experiment_of_its_user(alice: University) -> None:
    spring = alice.fundraiser()
    for mailing in (experiment(alice, spring), experiment(alice, spring)):
        alice.email(spring, mailing_id=mailing, arm="holdout")
    gift = alice.gift(spring, 2500, donated_at=GIVEN)
    settle_all()
    assert [row["raised"] for row in get_db().arms.find()] == [{"USD": 2500}] * 2
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "refunded"})
    settle_all()
    assert [row["givers"] for row in get_db().arms.find()] == [0, 0]
    check_figures()


def test_squares_of_large_amounts_are_exact(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = experiment(alice, spring)
    for number in range(3):
        donor = {"name": "D", "email": f"d{number}@example.edu"}
        alice.email(spring, donor, mailing_id=mailing, arm="sent")
        alice.gift(spring, 99_999_999_999 + number, donor, donated_at=GIVEN)
    found = check_figures()["sent"]
    assert found["squares", "USD"] == sum((99_999_999_999 + n) ** 2 for n in range(3)) > 2**64


@pytest.mark.parametrize("arm", ["sent", "holdout"])
def test_an_email_settled_while_its_gift_is_being_settled_is_not_overlooked(
    alice: University, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    """The gift's transaction has read the participants before the email has one."""
    spring = alice.fundraiser()
    mailing = experiment(alice, spring)
    alice.email(spring)
    settle_all()
    email = alice.email(spring, mailing_id=mailing, arm=arm)
    gift = alice.gift(spring, donated_at=GIVEN)
    rounds = interleave(
        monkeypatch, assign, "_read_participants", lambda: settle_one("emails", email)
    )
    settle_one("donations", gift)
    assert len(rounds) == 2
    assert check_figures()[arm]["raised", "USD"] == 2500


@pytest.mark.parametrize("arm", ["sent", "holdout"])
def test_a_gift_settled_while_its_email_is_being_settled_is_not_overlooked(
    alice: University, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    """The email's transaction has searched for gifts before the gift has a user."""
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    mailing = experiment(alice, spring, scope="organization")
    alice.email(spring)
    settle_all()
    email = alice.email(spring, mailing_id=mailing, arm=arm)
    gift = alice.gift(autumn, donated_at=GIVEN)  # no candidate, so no mark for a rematch
    rounds = interleave(
        monkeypatch, late_emails, "_find_in_windows", lambda: settle_one("donations", gift)
    )
    settle_one("emails", email)
    assert len(rounds) == 2
    assert check_figures()[arm]["raised", "USD"] == 2500


@pytest.mark.parametrize("arm", ["sent", "holdout"])
def test_an_email_deleted_while_its_gift_is_being_settled_loses_the_gift(
    alice: University, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    spring = alice.fundraiser()
    mailing = experiment(alice, spring)
    email = alice.email(spring, mailing_id=mailing, arm=arm)
    settle_all()
    gift = alice.gift(spring, donated_at=GIVEN)
    alice.call("DELETE", f"/v1/emails/{email}")
    rounds = interleave(
        monkeypatch, assign, "_read_participants", lambda: settle_one("emails", email)
    )
    settle_one("donations", gift)
    assert len(rounds) == 2
    assert check_figures() == {}


@pytest.mark.parametrize("arm", ["sent", "holdout"])
def test_a_gift_that_is_settled_again_keeps_a_mark_that_another_worker_sets(
    alice: University, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    """The gift's transaction writes nothing that the email's transaction writes, too."""
    spring = alice.fundraiser()
    mailing = experiment(alice, spring)
    alice.email(spring)
    gift = alice.gift(spring, donated_at=GIVEN)
    settle_all()
    email = alice.email(spring, mailing_id=mailing, arm=arm)
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "succeeded"})
    interleave(monkeypatch, assign, "_read_participants", lambda: settle_one("emails", email))
    settle_one("donations", gift)
    assert check_figures()[arm]["raised", "USD"] == 2500


@pytest.mark.parametrize("arm", ["sent", "holdout"])
def test_a_marked_gift_gets_the_mark_of_another_email_too(
    alice: University, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    """The gift's transaction removes the first mark, and has not read the second participant."""
    spring = alice.fundraiser()
    first, second = experiment(alice, spring), experiment(alice, spring)
    alice.email(spring)
    gift = alice.gift(spring, donated_at=GIVEN)
    settle_all()
    settle_one("emails", alice.email(spring, mailing_id=first, arm=arm))
    assert get_db().donations.count_documents({"outcomes_due": True}) == 1
    get_db().donations.update_one({}, {"$unset": {"rematch": ""}})
    email = alice.email(spring, mailing_id=second, arm=arm)
    interleave(monkeypatch, assign, "_read_participants", lambda: settle_one("emails", email))
    settle_one("donations", gift)
    settle_all()
    assert [row["givers"] for row in get_db().arms.find()] == [1, 1]
    check_figures()


@pytest.mark.usefixtures("late")
def test_windows_follow_the_time_of_the_mailing(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform records the emails, then sends them, and then reports when."""
    monkeypatch.setattr(windows, "MOVED_EMAILS_PER_WRITE", 2)
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    path = f"/v1/mailings/{mailing}"
    assert alice.call("PUT", f"{path}/experiment", {"arms": ARMS, "window_days": 2}).status == 200
    donors = [{"name": "D", "email": f"d{number}@example.edu"} for number in range(5)]
    for number, donor in enumerate(donors):
        arm = ARMS[number % 2]["name"]
        alice.email(spring, donor, mailing_id=mailing, sent_at="2025-11-10T00:00:00Z", arm=arm)
        for day in (11, 21, 24):
            alice.gift(spring, day, donor, donated_at=f"2025-11-{day}T00:00:00Z")
    found = check_figures()
    assert (found["sent"]["raised", "USD"], found["holdout"]["raised", "USD"]) == (33, 22)
    assert alice.call("PATCH", path, {"sent_at": SENT}).status == 200
    found = check_figures()
    assert (found["sent"]["raised", "USD"], found["holdout"]["raised", "USD"]) == (63, 42)
    assert alice.call("PATCH", path, {"sent_at": "2026-01-01T00:00:00Z"}).status == 200
    found = check_figures()
    assert found == {
        "sent": {"recipients": 3, ("credited", "USD"): 168, ("ends", "2026-01-03"): 3},
        "holdout": {"recipients": 2, ("ends", "2026-01-03"): 2},
    }
    alice.call("PATCH", path, {"sent_at": GIVEN})
    alice.call("PATCH", path, {"sent_at": "2025-11-11T00:00:00Z"})
    assert check_figures()["sent"]["raised", "USD"] == 33
    assert get_db().mailings.count_documents({"windows_due": {"$exists": True}}) == 0


def interleave(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], None]
) -> list[Any]:
    """Act once, between the reads of this function and their use. Return all the reads."""
    real, rounds = getattr(module, name), []

    def read_early(*args: Any) -> Any:
        found = real(*args)
        found = found if isinstance(found, dict) else list(found)
        rounds.append(found)
        if len(rounds) == 1:
            act()
        return found

    monkeypatch.setattr(module, name, read_early)
    return rounds


PEOPLE: list[dict[str, Any]] = [
    {"name": f"P{n}", "email": f"p{n}@example.edu", "attributes": {"school": school}}
    for n, school in enumerate(["Law", "Law", "Medicine"])
]
PEOPLE.append({"name": "P3", "email": "p3@gmail.com"})
TIMES = [SENT, GIVEN, LATE, "2025-11-19T00:00:00Z"]
EVENT_TYPES = ["delivered", "open", "click", "bounce"]


class Campaign:
    """Random changes of gifts, emails, events and users in two fundraisers."""

    def __init__(self, alice: University, seed: int) -> None:
        self.alice = alice
        self.seed = seed
        self.chance = random.Random(seed)
        self.fundraisers = [alice.fundraiser(), alice.fundraiser("Autumn")]
        self.mailings = {
            experiment(alice, of, scope=scope, window_days=20): of
            for of in self.fundraisers
            for scope in ("fundraiser", "organization")
        }
        self.emails: list[str] = []
        self.gifts: list[str] = []

    def act(self, number: int) -> None:
        alice, chance = self.alice, self.chance
        match chance.randrange(10):
            case 0 | 1 | 2:
                self.record(chance.choice(PEOPLE))
            case 3 | 4 | 5:
                self.give(chance.choice(PEOPLE), number)
            case 6 if self.gifts:
                change = chance.choice(
                    [{"refunded_amount": 5}, {"status": "disputed"}, {"status": "succeeded"}, {}]
                )
                gift = chance.choice(self.gifts)
                alice.call("PATCH" if change else "DELETE", f"/v1/donations/{gift}", change or None)
            case 7 if self.emails:
                alice.call("DELETE", f"/v1/emails/{self.emails.pop()}")
            case 8 if self.emails:
                type_, at = chance.choice(EVENT_TYPES), EVENT_AT + 1000 * number
                alice.deliver([make_event(chance.choice(self.emails), type_, at)])
            case 9 if chance.random() < 0.3:
                mailing, sent_at = chance.choice(list(self.mailings)), chance.choice(TIMES)
                alice.call("PATCH", f"/v1/mailings/{mailing}", {"sent_at": sent_at})
            case 9 if self.emails:
                user = alice.get(f"/v1/emails/{self.emails[-1]}")["user_id"]
                address = chance.choice([*PEOPLE, BOB])["email"]
                if chance.random() < 0.7:
                    alice.call("PATCH", f"/v1/users/{user}", {"email": address})
                else:
                    alice.call("DELETE", f"/v1/users/{user}?erase=true")

    def record(self, person: dict[str, Any]) -> None:
        mailing = self.chance.choice(list(self.mailings))
        values = {"fundraiser_id": self.mailings[mailing], "mailing_id": mailing, "user": person}
        answer = self.alice.call("POST", "/v1/emails", values)
        assert answer.status in (201, 409), answer.content
        if answer.status == 201:
            self.emails.append(answer.json["id"])

    def give(self, person: dict[str, Any], number: int) -> None:
        chance = self.chance
        how: dict[str, Any] = {
            "donated_at": chance.choice(TIMES),
            "currency": chance.choice(["USD", "EUR"]),
            "status": chance.choice(["succeeded", "succeeded", "pending"]),
        }
        if self.emails and chance.random() < 0.3:
            how["email_id"] = chance.choice(self.emails)
        donor = {"name": person["name"], "email": person["email"]}
        gift = self.alice.gift(chance.choice(self.fundraisers), 10 + number, donor, **how)
        self.gifts.append(gift)


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_changes_gives_the_figures_of_a_plain_recomputation(
    alice: University, seed: int
) -> None:
    campaign = Campaign(alice, seed)
    for number in range(60):
        campaign.act(number)
        if campaign.chance.random() < 0.3:
            sweep_due_records()
        if number % 20 == 19:
            check_figures()
    assert check_figures()


def test_parallel_changes_give_the_figures_of_a_plain_recomputation(alice: University) -> None:
    """Four threads change records, and two threads sweep."""
    ended = threading.Event()

    def sweeping() -> None:
        while not ended.is_set():
            sweep_due_records()

    def act(campaign: Campaign) -> None:
        for number in range(30):
            campaign.act(number)

    campaigns = [Campaign(alice, seed) for seed in range(4)]
    with ThreadPoolExecutor() as pool:
        sweepers = [pool.submit(sweeping) for _ in range(2)]
        list(pool.map(act, campaigns))
        ended.set()
        for sweeper in sweepers:
            sweeper.result()
    assert check_figures()


def test_a_recount_finds_and_repairs_the_counters_of_arms(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = experiment(alice, spring)
    alice.email(spring, mailing_id=mailing, arm="holdout")
    alice.gift(spring, donated_at=GIVEN)
    right = check_figures()
    get_db().arms.update_one({}, {"$set": {"recipients": 7, "raised.USD": 1, "squares": {}}})
    get_db().participants.update_one({}, {"$set": {"raised.USD": 3}})
    get_db().arm_segments.update_one({}, {"$set": {"recipients": 5, "givers": 4}})
    of_fundraiser = recount.compare_all_counters(ObjectId(spring))
    drifts = [drift for page in of_fundraiser for drift in page.drifts]
    found = [(drift.collection, drift.field, drift.expected) for drift in drifts]
    assert ("arms", "recipients", 1) in found
    assert ("arm_segments", "recipients", 1) in found
    assert ("participants", "raised.USD", 2500) in found
    for _ in range(3):  # a wrong counter hides the counters that follow from it
        for drift in recount.find_drifts():
            recount.repair_counter(drift)
    assert check_figures() == right
