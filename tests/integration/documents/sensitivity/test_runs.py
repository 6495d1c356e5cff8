"""Runs: one process continues for another, and nothing unchanged is read again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from bson.timestamp import Timestamp
from falcon import testing
from mongoengine import get_db

from documents import evidence_change
from documents.matching.policy import MatchPolicy
from documents.sensitivity import changes, page, run, turns
from documents.sensitivity.turns import SensitivityTurns
from documents.storage import transaction
from documents.storage.process_cache import ProcessCache
from documents.values.time import now
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.settled import settle_all

SENT, GIVEN = "2026-11-01T00:00:00Z", "2026-11-11T00:00:00Z"
LONG_AGO = timedelta(hours=1)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    monkeypatch.setattr(evidence_change, "_noted", ProcessCache(0.0))
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


def give_often(place: University, gifts: int = 9) -> tuple[str, str]:
    """Return a fundraiser, and a mailing ten days before gifts of 10.00 each."""
    spring = place.fundraiser()
    mailing = place.mailing(spring)
    place.email(spring, mailing_id=mailing, sent_at=SENT)
    for _ in range(gifts):
        place.gift(spring, 1000, donated_at=GIVEN)
    settle_all()
    return spring, mailing


def compute_all() -> None:
    worker = SensitivityTurns()
    while worker.work(MatchPolicy()):
        pass


def sums_of(place: University, mailing: str) -> list[int]:
    """Return the mailing's sums of the rules."""
    found = place.get(f"/v1/mailings/{mailing}/report")["sensitivity"]
    return [one["raised"].get("USD", 0) for one in found["rules"]]


def settle_down(fundraiser: str, **more: Any) -> None:
    """Let the last change of a fundraiser be long ago."""
    earlier = {"changed_at": now() - LONG_AGO, "due": now() - LONG_AGO, **more}
    get_db().sensitivity_runs.update_one({"_id": ObjectId(fundraiser)}, {"$set": earlier})


def find_run(fundraiser: str) -> dict[str, Any]:
    found: Any = get_db().sensitivity_runs.find_one({"_id": ObjectId(fundraiser)})
    return dict(found)


@contextmanager
def reads_of_gifts() -> Iterator[list[Any]]:
    """Collect the queries for gifts."""
    database, seen = get_db(), list[Any]()
    database.command("profile", 2)
    yield seen
    database.command("profile", 0)
    seen += database["system.profile"].find({"ns": {"$regex": r"\.donations$"}})
    database.drop_collection("system.profile")


def test_a_mailing_has_no_sums_until_they_are_computed(alice: University) -> None:
    spring, mailing = give_often(alice)
    path = f"/v1/mailings/{mailing}/report"
    assert alice.get(path)["sensitivity"] is None
    compute_all()
    found = alice.get(path)["sensitivity"]
    assert found.pop("computed_at") <= f"{now():%Y-%m-%dT%H:%M:%SZ}"
    all_, none = {"USD": 9000}, dict[str, int]()
    rules = [(7, none), (14, all_), (30, all_)]
    assert found == {
        "credited": all_,
        "lowest": {"USD": 0},
        "highest": all_,
        "rules": [
            {
                "window_days": days,
                "touch": touch,
                "raised": raised,
                "present": (days, touch) == (30, "last"),
            }
            for days, raised in rules
            for touch in ("first", "last")
        ],
    }
    later = alice.mailing(spring)
    dated = {"$set": {"created_at": now() + timedelta(seconds=1)}}
    get_db().mailings.update_one({"_id": ObjectId(later)}, dated)
    assert alice.get(f"/v1/mailings/{later}/report")["sensitivity"] is None
    assert alice.report(spring)["sensitivity"] is None


def test_refunds_and_gifts_that_do_not_count(alice: University) -> None:
    spring, mailing = give_often(alice, 1)
    refunded = alice.gift(spring, 5000, donated_at=GIVEN)
    alice.call("PATCH", f"/v1/donations/{refunded}", {"refunded_amount": 1999})
    alice.gift(spring, 700, donated_at=GIVEN, status="failed")
    settle_all()
    compute_all()
    assert sums_of(alice, mailing) == [0, 0, 4001, 4001, 4001, 4001]


def test_a_killed_run_continues_and_counts_nothing_twice(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill the worker before each transaction and after each commit, in turn."""
    spring, mailing = give_often(alice)
    monkeypatch.setattr(page, "GIFTS_PER_PAGE", 2)
    run_transaction, kills = transaction.in_transaction, 0

    def killed(*args: Any) -> Any:
        nonlocal kills
        kills += 1
        if kills % 3 == 0:
            raise Killed
        run_transaction(*args)
        if kills % 3 == 1:
            raise Killed

    monkeypatch.setattr(run, "in_transaction", killed)
    pages = []
    while find_published(spring) is None:
        with pytest.raises(Killed):
            compute_all()
        pages.append(find_run(spring).get("pages"))
    assert pages[:4] == [1, 2, 3, 4]
    assert sums_of(alice, mailing) == [0, 0, 9000, 9000, 9000, 9000]
    assert find_run(spring)["number"] == 1


def find_published(fundraiser: str) -> Any:
    found = get_db().sensitivity_runs.find_one({"_id": ObjectId(fundraiser)})
    return (found or {}).get("published")


def test_two_workers_on_one_page_count_it_once(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring, mailing = give_often(alice)
    monkeypatch.setattr(page, "GIFTS_PER_PAGE", 4)
    compute, begun = page.compute_page, list[Any]()

    def overtaken(current: Any, default: MatchPolicy) -> Any:
        found = compute(current, default)
        if not begun:
            begun.append(current)
            compute_all()  # another worker, whose lease this one has lost
        return found

    monkeypatch.setattr(run, "compute_page", overtaken)
    compute_all()
    assert sums_of(alice, mailing) == [0, 0, 9000, 9000, 9000, 9000]
    assert find_run(spring)["number"] == 1


def test_the_sums_are_those_of_one_time_while_gifts_change(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring, mailing = give_often(alice)
    monkeypatch.setattr(page, "GIFTS_PER_PAGE", 2)
    compute = page.compute_page

    def disturbed(current: Any, default: MatchPolicy) -> Any:
        gift = get_db().donations.find_one({"refunded_amount": 0}, sort=[("_id", -1)])
        alice.call("PATCH", f"/v1/donations/{gift['_id']}", {"refunded_amount": 1})
        alice.gift(spring, 1000, donated_at=GIVEN)
        settle_all()
        return compute(current, default)

    monkeypatch.setattr(run, "compute_page", disturbed)
    compute_all()
    found = alice.get(f"/v1/mailings/{mailing}/report")["sensitivity"]
    assert found["credited"] == found["highest"] == {"USD": 9000}
    assert find_run(spring)["due"] > now()  # a later run includes the changes


def test_a_fundraiser_without_changes_costs_no_reading_of_gifts(alice: University) -> None:
    spring, mailing = give_often(alice)
    compute_all()
    settle_down(spring)
    compute_all()
    assert "due" not in find_run(spring)
    with reads_of_gifts() as seen:
        compute_all()
    assert seen == []
    alice.gift(spring, 1000, donated_at=GIVEN)
    settle_all()
    with reads_of_gifts() as seen:
        compute_all()  # too early
    assert seen == []
    settle_down(spring)
    with reads_of_gifts() as seen:
        compute_all()
    assert seen
    assert sums_of(alice, mailing)[-1] == 10_000


@pytest.mark.parametrize("what", ["gift", "email", "address", "policy", "deletion"])
def test_each_change_makes_the_fundraiser_due(alice: University, what: str) -> None:
    spring, mailing = give_often(alice)
    compute_all()
    settle_down(spring)
    compute_all()
    user = alice.get("/v1/users?limit=1")["data"][0]["id"]
    acts: dict[str, Callable[[], object]] = {
        "gift": lambda: alice.gift(spring, donated_at=GIVEN),
        "email": lambda: alice.email(spring, mailing_id=mailing, sent_at=GIVEN),
        "address": lambda: alice.call("PATCH", f"/v1/users/{user}", {"email": "b@example.edu"}),
        "policy": lambda: alice.call("PUT", "/v1/match-policy", {"prefer": ["clicked"]}),
        "deletion": lambda: alice.call("DELETE", f"/v1/donations/{_last_gift()}"),
    }
    acts[what]()
    settle_all()
    compute_all()
    assert find_run(spring)["due"] > now()


def _last_gift() -> ObjectId:
    found: Any = get_db().donations.find_one({}, sort=[("_id", -1)])
    return ObjectId(found["_id"])


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_lost_snapshot_is_replaced_only_if_nothing_changed(
    alice: University, monkeypatch: pytest.MonkeyPatch, is_changed: bool
) -> None:
    spring, mailing = give_often(alice)
    monkeypatch.setattr(page, "GIFTS_PER_PAGE", 4)
    compute_pages(spring, 1)
    if not is_changed:
        settle_down(spring)
    too_old = Timestamp(int((now() - timedelta(minutes=20)).timestamp()), 1)
    lost = {"$set": {"snapshot": too_old}}
    get_db().sensitivity_runs.update_one({"_id": ObjectId(spring)}, lost)
    compute_all()
    if is_changed:
        assert find_run(spring)["due"] > now()
        settle_down(spring)
        compute_all()
    assert sums_of(alice, mailing) == [0, 0, 9000, 9000, 9000, 9000]
    assert find_run(spring)["number"] == (2 if is_changed else 1)


def compute_pages(fundraiser: str, number: int) -> None:
    changes.follow_changes()
    for _ in range(number):
        run.work_on_page(ObjectId(fundraiser), MatchPolicy())


def test_a_large_organization_does_not_delay_others(
    alice: University, charlie: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "GIFTS_PER_PAGE", 1)
    large = [give_often(alice, 6)[0] for _ in range(3)]
    small, mailing = give_often(charlie, 2)
    order: list[str] = []
    work = run.work_on_page

    def noted(fundraiser_id: ObjectId, default: MatchPolicy) -> None:
        order.append(str(fundraiser_id))
        work(fundraiser_id, default)

    monkeypatch.setattr(turns, "work_on_page", noted)
    monkeypatch.setattr(turns, "STEP_SECONDS", 0.0001)  # a page in each step
    compute_all()
    last = max(place for place, id_ in enumerate(order) if id_ == small)
    assert last <= 2 * order.count(small)
    assert len(order) == 3 + 3 * 7
    assert all(find_published(one) for one in large)
    assert sums_of(charlie, mailing)[-1] == 2000


def test_an_error_in_one_fundraiser_does_not_block_others(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = give_often(alice)[0], give_often(alice)[0]
    work = run.work_on_page

    def failing(fundraiser_id: ObjectId, default: MatchPolicy) -> None:
        if str(fundraiser_id) == bad:
            raise ValueError
        work(fundraiser_id, default)

    monkeypatch.setattr(turns, "work_on_page", failing)
    compute_all()
    assert (find_published(bad), find_published(good)) == (None, 1)


def test_earlier_sums_stay_until_a_run_is_complete_and_old_ones_go(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    spring, mailing = give_often(alice)
    compute_all()
    alice.gift(spring, 1000, donated_at=GIVEN)
    settle_all()
    changes.follow_changes()
    settle_down(spring)
    monkeypatch.setattr(page, "GIFTS_PER_PAGE", 4)
    compute_pages(spring, 2)
    assert sums_of(alice, mailing)[-1] == 9000
    compute_all()
    assert sums_of(alice, mailing)[-1] == 10_000
    settle_down(spring)
    compute_all()
    assert get_db().sensitivities.distinct("number") == [2, 3]


def test_charlie_sees_nothing_and_a_deleted_fundraiser_leaves_nothing(
    alice: University, charlie: University
) -> None:
    spring, mailing = give_often(alice, 1)
    compute_all()
    assert charlie.call("GET", f"/v1/mailings/{mailing}/report").status == 404
    email = alice.get("/v1/emails?limit=1")["data"][0]["id"]
    for path in (f"donations/{_last_gift()}", f"emails/{email}", f"mailings/{mailing}"):
        assert alice.call("DELETE", f"/v1/{path}").status == 204
        settle_all()
    assert alice.call("DELETE", f"/v1/fundraisers/{spring}").status == 204
    compute_all()
    assert get_db().sensitivities.count_documents({}) == 0
    assert get_db().sensitivity_runs.count_documents({}) == 0


def test_a_gift_pinned_to_another_fundraisers_email_counts_there(alice: University) -> None:
    _, mailing = give_often(alice, 2)
    autumn = alice.fundraiser("Autumn")
    gift = alice.gift(autumn, 400, BOB, donated_at=GIVEN)
    email = alice.get("/v1/emails?limit=1")["data"][0]["id"]
    assert alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": email}).status == 200
    settle_all()
    compute_all()
    assert sums_of(alice, mailing) == [400, 400, 2400, 2400, 2400, 2400]
    assert alice.get(f"/v1/mailings/{mailing}")["raised"] == {"USD": 2400}
