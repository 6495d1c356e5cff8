"""Settling on the real server: every counter is correct after any actions in any order."""

from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from mongoengine import get_db

from documents.concurrency.drain import Drain
from documents.matching import decide
from documents.matching.candidates import BatchEvidence
from documents.matching.policy import MatchPolicy
from documents.matching.reading import read_evidence
from documents.recount import recount
from documents.recount.recount import repair_counter
from documents.settling import settle as settling
from documents.settling.policies import SettlingPolicy
from documents.storage.transaction import in_transaction
from documents.values.time import now
from jobs.sweep import sweep_due_records
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.settled import settle_all

EVE = {"name": "Eve", "email": "eve@example.org"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def test_a_gift_marks_its_email_as_donated_and_a_refund_unmarks_it(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing)
    first = alice.gift(spring, 2500, email_id=email)
    second = alice.gift(spring, 1000)  # by Bob's address
    settle_all()

    bobs = alice.get(f"/v1/emails/{email}")
    assert (bobs["donated"], bobs["donations_count"], bobs["raised"]) == (True, 2, {"USD": 3500})
    assert alice.get(f"/v1/donations/{first}")["match"] == "link"
    assert alice.get(f"/v1/donations/{second}")["match"] == "address"
    figures = alice.report(spring)["donations"]
    assert (figures["count"], figures["donors"], figures["raised"]) == (2, 1, {"USD": 3500})

    alice.call("PATCH", f"/v1/donations/{first}", {"status": "refunded"})
    alice.call("DELETE", f"/v1/donations/{second}")
    settle_all()

    bobs = alice.get(f"/v1/emails/{email}")
    assert (bobs["donated"], bobs["donations_count"], bobs["raised"]) == (False, 0, {})
    report = alice.report(spring)
    assert report["emails"]["donated"] == 0
    figures = report["donations"]
    assert (figures["count"], figures["donors"], figures["raised"]) == (0, 0, {})
    assert figures["refunded"] == {"USD": 2500}


def test_a_partial_refund_is_set_and_not_added(alice: University) -> None:
    spring = alice.fundraiser()
    gift = alice.gift(spring, 2500)
    for amount in (400, 400, 1000):
        alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": amount})
        settle_all()
    figures = alice.report(spring)["donations"]
    assert (figures["raised"], figures["refunded"]) == ({"USD": 1500}, {"USD": 1000})


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_only_successful_payments_count(alice: University, status: str) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    gift = alice.gift(spring, email_id=email, status=status)
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["match"] is None
    assert alice.report(spring)["donations"]["count"] == 0

    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "succeeded"})
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["email_id"] == email
    assert alice.report(spring)["donations"]["count"] == 1


def test_a_disputed_gift_does_not_keep_an_email_deleted_meanwhile(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    settle_all()
    gift = alice.gift(spring, email_id=email)
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "disputed"})
    one = {"_id": ObjectId(email)}
    rounds = []

    def read_late(*args: Any) -> BatchEvidence:
        """Return evidence that changes before its use."""
        evidence = read_evidence(*args)
        rounds.append(evidence)
        if len(rounds) == 1:
            alice.call("DELETE", f"/v1/emails/{email}")
            in_transaction(
                settling._settle, Drain(("test", None), 9), one, SettlingPolicy(), ("emails",)
            )
        return evidence

    monkeypatch.setattr(decide, "read_evidence", read_late)
    settle_all()
    assert len(rounds) > 1
    decided = alice.get(f"/v1/donations/{gift}")
    assert (decided["match"], decided["email_id"]) == ("none", None)


def test_currencies_are_never_mixed(alice: University) -> None:
    spring = alice.fundraiser()
    for currency, amount in (("USD", 2500), ("JPY", 3000), ("KWD", 1234), ("USD", 500)):
        alice.gift(spring, amount, currency=currency)
    settle_all()
    figures = alice.report(spring)["donations"]
    assert figures["raised"] == {"JPY": 3000, "KWD": 1234, "USD": 3000}
    assert figures["average"] == {"JPY": 3000, "KWD": 1234, "USD": 1500}


def test_donors_count_people_and_gifts_count_gifts(alice: University) -> None:
    spring = alice.fundraiser()
    alice.email(spring)
    for _ in range(3):
        alice.gift(spring)
        alice.gift(spring, donor=EVE | {"email": "EVE@example.org"})
        alice.gift(spring, donor=EVE)
    settle_all()
    figures = alice.report(spring)["donations"]
    assert (figures["count"], figures["donors"]) == (9, 2)
    assert figures["by_match"]["none"]["count"] == 6


def test_deleting_a_users_last_gift_moves_the_last_time_back(alice: University) -> None:
    spring = alice.fundraiser()
    alice.email(spring)
    alice.gift(spring, donated_at="2026-01-01T00:00:00Z")
    last = alice.gift(spring, donated_at="2026-02-01T00:00:00Z")
    settle_all()
    user = alice.get("/v1/users")["data"][0]
    assert user["last_donated_at"] == "2026-02-01T00:00:00Z"
    alice.call("DELETE", f"/v1/donations/{last}")
    settle_all()
    user = alice.get("/v1/users")["data"][0]
    assert (user["donations_count"], user["last_donated_at"]) == (1, "2026-01-01T00:00:00Z")


def test_a_deleted_email_removes_its_counts_and_its_gifts_are_rematched(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    old = alice.email(spring, sent_at="2026-11-01T00:00:00Z")
    new = alice.email(spring, mailing_id=mailing, sent_at="2026-11-02T00:00:00Z")
    gift = alice.gift(spring, email_id=new, donated_at="2026-11-03T00:00:00Z")
    settle_all()
    assert alice.get(f"/v1/mailings/{mailing}/report")["donations"]["count"] == 1

    assert alice.call("DELETE", f"/v1/emails/{new}").status == 204
    settle_all()
    found = alice.get(f"/v1/donations/{gift}")
    assert (found["match"], found["email_id"]) == ("address", old)
    assert alice.get(f"/v1/mailings/{mailing}/report")["donations"]["count"] == 0
    assert alice.get(f"/v1/mailings/{mailing}")["emails_count"] == 0
    assert alice.report(spring)["donations"]["raised"] == {"USD": 2500}


def test_deleting_an_email_releases_more_gifts_than_a_batch(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("documents.matching.rematch.MARKED_GIFTS_PER_BATCH", 2)
    spring = alice.fundraiser()
    email = alice.email(spring)
    gifts = [alice.gift(spring, 100, EVE, email_id=email) for _ in range(7)]
    settle_all()
    assert alice.call("DELETE", f"/v1/emails/{email}").status == 204
    settle_all()
    assert {alice.get(f"/v1/donations/{gift}")["match"] for gift in gifts} == {"none"}
    figures = alice.report(spring)
    assert figures["emails"]["sent"] == 0
    assert figures["donations"]["by_match"]["link"]["count"] == 0
    assert figures["donations"]["raised"] == {"USD": 700}
    assert figures["unsettled"]["oldest_seconds"] == 0


def test_a_mailings_cost_counts_on_its_fundraiser(alice: University) -> None:
    spring = alice.fundraiser()
    alice.mailing(spring, cost={"amount": 500, "currency": "USD"})
    mailing = alice.mailing(spring, cost={"amount": 700, "currency": "USD"})
    alice.gift(spring, 2400)
    settle_all()
    assert alice.report(spring)["cost_per_unit_raised"] == {"USD": 0.5}
    alice.call("PATCH", f"/v1/mailings/{mailing}", {"cost": None})
    settle_all()
    assert alice.report(spring)["cost_per_unit_raised"] == {"USD": 0.2083}


def test_settling_again_changes_nothing(alice: University) -> None:
    spring = alice.fundraiser()
    alice.email(spring)
    alice.gift(spring)
    settle_all()
    before = alice.report(spring)["donations"]
    for name in ("donations", "emails"):
        get_db()[name].update_many({}, {"$currentDate": {"due": True}})
    settle_all()
    assert alice.report(spring)["donations"] == before


def test_a_recount_finds_and_repairs_exactly_the_planted_errors(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring)
    alice.gift(spring, email_id=email)
    settle_all()
    right = alice.report(spring)
    fundraiser, database = {"_id": ObjectId(spring)}, get_db()
    database.fundraisers.update_one(fundraiser, {"$inc": {"raised.USD": 7, "funnel.sent": -1}})
    database.users.update_one({}, {"$inc": {"donations_count": 2}})
    database.users.update_one({}, {"$unset": {"last_donated_at": ""}})
    database.emails.update_one({}, {"$set": {"donated": False}})

    off = list(recount.find_drifts())
    assert {(drift.collection, drift.field) for drift in off} == {
        ("fundraisers", "raised.USD"),
        ("fundraisers", "funnel.sent"),
        ("users", "donations_count"),
        ("users", "last_donated_at"),
        ("emails", "donated"),
    }
    for drift in off:
        repair_counter(drift)
    settle_all()
    assert alice.report(spring)["donations"] == right["donations"]
    assert alice.report(spring)["emails"] == right["emails"]


def test_any_records_counted_note_can_be_repaired(alice: University) -> None:
    """Counters are correct at the end, without a worker's help, whichever note is lost."""
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, cost={"amount": 100, "currency": "USD"})
    email = alice.email(spring, mailing_id=mailing)
    alice.gift(spring, email_id=email)
    settle_all()
    right = {path: alice.get(path) for path in ("/v1/users", f"/v1/emails/{email}")}
    report = alice.report(spring)
    for name in ("donations", "donors", "emails", "mailings"):
        get_db()[name].update_many({}, {"$set": {"counted": []}})
        for _ in range(3):
            for drift in recount.find_drifts():
                repair_counter(drift)
        assert list(recount.find_drifts()) == [], name
        assert get_db()[name].count_documents({"due": {"$exists": True}}) == 0
        assert {path: alice.get(path) for path in right} == right
        now = alice.report(spring)
        assert now | {"as_of": 0} == report | {"as_of": 0}, name


def test_a_report_works_with_incorrect_counters(alice: University) -> None:
    spring = alice.fundraiser()
    get_db().fundraisers.update_one({}, {"$inc": {"raised.EUR": 5}})
    assert alice.report(spring)["donations"]["average"] == {}


def test_the_window_is_a_setting(alice: University, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "jobs.sweep.build_settling_policy",
        lambda: SettlingPolicy(MatchPolicy(window=timedelta(days=1))),
    )
    spring = alice.fundraiser()
    alice.email(spring, sent_at="2026-11-01T00:00:00Z")
    gift = alice.gift(spring, donated_at="2026-11-03T00:00:00Z")
    settle_all()
    found = alice.get(f"/v1/donations/{gift}/match")
    assert (found["match"], found["window_seconds"]) == ("none", 24 * 3600)
    assert found["considered"][0]["reason"] == "outside the window"


def test_any_sequence_of_client_actions_ends_with_exact_counters(alice: University) -> None:
    """Creates, changes, partial refunds, deletions, events and repeated settles, in any order."""
    alice.set_webhook_key()
    donors = (BOB, EVE, {"name": "Zoe", "email": "zoe@example.org"})

    class AnyDay(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.fundraiser = alice.fundraiser()
            self.mailings = [alice.mailing(self.fundraiser) for _ in range(2)]
            self.emails: list[str] = []
            self.gifts: dict[str, int] = {}
            self.truth: dict[str, tuple[str, int, int]] = {}

        @rule(who=st.integers(0, 2), mailing=st.integers(0, 1))
        def send(self, who: int, mailing: int) -> None:
            self.emails.append(
                alice.email(self.fundraiser, donors[who], mailing_id=self.mailings[mailing])
            )

        @rule(
            who=st.integers(0, 2),
            amount=st.integers(1, 10_000),
            named=st.integers(0, 5),
            status=st.sampled_from(["succeeded", "succeeded", "pending", "failed"]),
        )
        def give(self, who: int, amount: int, named: int, status: str) -> None:
            email_id = self.emails[named] if named < len(self.emails) else "garbage"
            gift = alice.gift(
                self.fundraiser, amount, donors[who], email_id=email_id, status=status
            )
            self.truth[gift] = (status, amount, 0)

        @precondition(lambda self: self.truth)
        @rule(data=st.data(), status=st.sampled_from(["succeeded", "failed", "disputed"]))
        def change(self, data: Any, status: str) -> None:
            gift = data.draw(st.sampled_from(sorted(self.truth)))
            _, amount, refunded = self.truth[gift]
            alice.call("PATCH", f"/v1/donations/{gift}", {"status": status})
            if refunded == amount and status == "succeeded":
                status = "refunded"
            self.truth[gift] = (status, amount, refunded)

        @precondition(lambda self: self.truth)
        @rule(data=st.data())
        def refund(self, data: Any) -> None:
            gift = data.draw(st.sampled_from(sorted(self.truth)))
            status, amount, _ = self.truth[gift]
            refunded = data.draw(st.integers(0, amount))
            alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": refunded})
            if status == "succeeded" and refunded == amount:
                status = "refunded"
            elif status == "refunded" and refunded < amount:
                status = "succeeded"
            self.truth[gift] = (status, amount, refunded)

        @precondition(lambda self: self.truth)
        @rule(data=st.data())
        def delete_gift(self, data: Any) -> None:
            gift = data.draw(st.sampled_from(sorted(self.truth)))
            assert alice.call("DELETE", f"/v1/donations/{gift}").status == 204
            del self.truth[gift]

        @precondition(lambda self: self.emails)
        @rule(data=st.data())
        def delete_email(self, data: Any) -> None:
            email = data.draw(st.sampled_from(self.emails))
            assert alice.call("DELETE", f"/v1/emails/{email}").status == 204
            self.emails.remove(email)

        @precondition(lambda self: self.emails)
        @rule(
            data=st.data(),
            type_=st.sampled_from(["delivered", "open", "click", "bounce", "unsubscribe"]),
            at=st.integers(1_700_000_000, 1_700_000_003),
            machine=st.booleans(),
        )
        def report(self, data: Any, type_: str, at: int, machine: bool) -> None:
            email = data.draw(st.sampled_from(self.emails))
            alice.deliver([make_event(email, type_, at, sg_machine_open=machine)] * 2)

        @rule()
        def settle_now(self) -> None:
            sweep_due_records()

        @invariant()
        def counters_are_right(self) -> None:
            settle_all()
            counted = [one for one in self.truth.values() if one[0] == "succeeded"]
            figures = alice.report(self.fundraiser)
            raised = sum(amount - refunded for _, amount, refunded in counted)
            assert figures["donations"]["count"] == len(counted)
            assert figures["donations"]["raised"].get("USD", 0) == raised
            assert figures["emails"]["sent"] == len(self.emails)
            by_match = figures["donations"]["by_match"].values()
            assert sum(of["count"] for of in by_match) == len(counted)

    AnyDay.TestCase.settings = hypothesis_settings(
        max_examples=8,
        stateful_step_count=15,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    )
    AnyDay.TestCase("runTest").runTest()


def settle_only(fundraiser_id: str) -> None:
    settling.settle_fundraiser(ObjectId(fundraiser_id), SettlingPolicy())


def test_a_gift_leaves_a_deleted_email_of_another_fundraiser(alice: University) -> None:
    """Settling the gift counts on the email, which itself still waits to be settled."""
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    pinned, own = alice.email(spring), alice.email(autumn)
    gift = alice.gift(autumn, 2500, email_id=own)
    alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": pinned})
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["email_id"] == pinned
    alice.call("DELETE", f"/v1/emails/{pinned}")
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 400})
    settle_only(autumn)
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["email_id"] == own
    assert alice.get(f"/v1/emails/{own}")["raised"] == {"USD": 2100}


def test_an_email_stays_new_although_a_gift_counts_on_it_first(alice: University) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    by_address = alice.gift(spring, 1000)
    settle_all()
    email = alice.email(spring, sent_at=f"{now() - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}")
    other = alice.gift(autumn, 2500)
    alice.call("PUT", f"/v1/donations/{other}/match", {"email_id": email})
    settle_only(autumn)
    assert alice.get(f"/v1/emails/{email}")["raised"] == {"USD": 2500}
    settle_all()
    assert alice.get(f"/v1/donations/{by_address}")["email_id"] == email
    assert alice.get(f"/v1/emails/{email}")["raised"] == {"USD": 3500}


def test_a_waiting_gift_that_moves_leaves_no_time_behind(alice: University) -> None:
    """The gift no longer counted, so settling subtracts nothing from the user that it leaves."""
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    bob = alice.get(f"/v1/emails/{alice.email(spring)}")["user_id"]
    gift = alice.gift(spring, 1000)
    settle_all()
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "disputed"})
    settle_all()
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "succeeded"})
    wife = {"name": "Barbara", "email": "barbara@example.org"}
    alice.gift(autumn, donor=wife, email_id=alice.email(autumn), donated_at="2026-01-31T10:00:00Z")
    settle_only(autumn)
    alice.call("PATCH", f"/v1/users/{bob}", {"email": "moved@example.org"})
    alice.email(autumn)  # to a new user, who has Bob's former address
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["user_id"] != bob
