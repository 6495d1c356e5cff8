"""The report of an experiment: figures with intervals, credited beside caused, and the verdict."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.participant import SQUARE_BASE_BITS
from documents.segments.arm_segment import make_arm_segment_id
from documents.segments.segment import make_segment_id
from tests.integration.documents.outcomes.test_experiments import (
    ARMS,
    EVE,
    GIVEN,
    experiment,
    put,
    record,
)
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.settled import settle_all

AB = [{"name": "A", "weight": 1}, {"name": "B", "weight": 1}]


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def report(alice: University, mailing: str) -> tuple[Any, dict[str, Any]]:
    found = alice.get(f"/v1/mailings/{mailing}/experiment")
    return found, {arm["name"]: arm for arm in found["arms"]}


def store_arm(mailing: str, name: str, recipients: int, gifts: list[int], **more: Any) -> None:
    """Store the counters of an arm, as if the ledger had counted these recipients."""
    row = build_arm_counters(mailing, recipients, gifts, **more)
    get_db().arms.replace_one({"_id": f"{mailing}:{name}"}, row, upsert=True)


def store_part(
    mailing: str, attribute: tuple[str, str], name: str, recipients: int, gifts: list[int]
) -> None:
    """Store the counters of an arm for the value of an attribute."""
    by, value = attribute
    owner = build_arm_counters(mailing, 0, [])
    segment_id = make_segment_id(ObjectId(mailing), by, value)
    fields = {key: owner[key] for key in ("organization_id", "fundraiser_id", "mailing_id")}
    segment = {"attribute": by, "value": value, **fields}
    get_db().segments.replace_one({"_id": segment_id}, segment, upsert=True)
    id_ = make_arm_segment_id(segment_id, f"{mailing}:{name}")
    row = build_arm_counters(mailing, recipients, gifts)
    get_db().arm_segments.replace_one({"_id": id_}, row, upsert=True)


def build_arm_counters(
    mailing: str, recipients: int, gifts: list[int], **more: Any
) -> dict[str, Any]:
    squares = sum(amount**2 for amount in gifts)
    parts = {"high": squares >> SQUARE_BASE_BITS, "low": squares % (1 << SQUARE_BASE_BITS)}
    mailing_row = get_db().mailings.find_one({"_id": ObjectId(mailing)})
    assert mailing_row
    return {
        "organization_id": mailing_row["organization_id"],
        "fundraiser_id": mailing_row["fundraiser_id"],
        "mailing_id": mailing_row["_id"],
        "recipients": recipients,
        "givers": len(gifts),
        "givers_by_currency": {"USD": len(gifts)},
        "raised": {"USD": sum(gifts)},
        "squares": {"USD": parts},
        **more,
    }


def test_the_report_shows_figures_with_intervals(alice: University) -> None:
    spring, mailing = experiment(alice)
    record(alice, spring, mailing, BOB, "sent")
    record(alice, spring, mailing, EVE, "holdout")
    alice.gift(spring, donated_at=GIVEN)
    settle_all()
    found, arms = report(alice, mailing)
    assert (found["baseline"], arms["holdout"]["comparison"]) == ("holdout", None)
    assert arms["sent"]["credited"] == {"USD": 2500}
    assert arms["holdout"]["credited"] == {}
    rate = arms["sent"]["response_rate"]
    assert 0 <= rate["low"] < rate["high"] == rate["value"] == 1
    assert arms["sent"]["raised_per_recipient"]["USD"]["value"] == 2500
    effect = arms["sent"]["comparison"]["raised"]["USD"]
    assert effect["caused"] == {"value": 2500, "low": None, "high": None}
    assert effect["lift"] is None
    assert found["verdict"]["kind"] == "too_early"
    assert found["verdict"]["sentence"].startswith("Too early to tell: about ")


def test_an_experiment_without_recipients_has_not_started(alice: University) -> None:
    _, mailing = experiment(alice)
    found, _ = report(alice, mailing)
    assert found["verdict"]["sentence"] == "Not started: each arm needs recipients."


def test_recipients_are_open_until_their_window_ends(alice: University) -> None:
    spring = alice.fundraiser()
    past, present = alice.mailing(spring, sent_at=GIVEN), alice.mailing(spring)
    for mailing in (past, present):
        assert put(alice, mailing).status == 200
        record(alice, spring, mailing, BOB, "sent")
        record(alice, spring, mailing, EVE, "holdout")
    settle_all()
    assert [report(alice, mailing)[0]["open_recipients"] for mailing in (past, present)] == [0, 2]


def test_a_holdout_shows_how_much_of_the_credited_money_was_caused(alice: University) -> None:
    _, mailing = experiment(alice)
    store_arm(mailing, "sent", 10_000, [5_000] * 600, credited={"USD": 2_900_000})
    store_arm(mailing, "holdout", 10_000, [5_000] * 200)
    found, arms = report(alice, mailing)
    verdict = found["verdict"]
    assert (verdict["kind"], verdict["figure"], verdict["currency"]) == ("caused", "raised", "USD")
    caused = arms["sent"]["comparison"]["raised"]["USD"]["caused"]
    assert caused["value"] == 2_000_000
    assert 0 < caused["low"] == verdict["low"] < 2_000_000 < verdict["high"] < 2_900_000
    assert verdict["sentence"].startswith("“sent” caused between $")
    assert verdict["sentence"].endswith(" of the $29,000 credited to it.")
    assert arms["sent"]["comparison"]["raised"]["USD"]["lift"]["value"] == 2


def test_a_mailing_can_work_against_itself(alice: University) -> None:
    _, mailing = experiment(alice)
    store_arm(mailing, "sent", 10_000, [5_000] * 200, credited={"USD": 900_000})
    store_arm(mailing, "holdout", 10_000, [5_000] * 600)
    verdict = report(alice, mailing)[0]["verdict"]
    assert verdict["kind"] == "against"
    assert verdict["low"] < verdict["high"] < 0
    assert "although $9,000 is credited to it" in verdict["sentence"]


def test_the_verdict_names_a_currency_with_the_opposite_effect(alice: University) -> None:
    _, mailing = experiment(alice)
    store_arm(mailing, "sent", 10_000, [], **in_two_currencies(usd=600, eur=200))
    store_arm(mailing, "holdout", 10_000, [], **in_two_currencies(usd=200, eur=600))
    found, _ = report(alice, mailing)
    other = {"USD": "EUR", "EUR": "USD"}[found["verdict"]["currency"]]
    assert found["verdict"]["opposite_currencies"] == [other]
    ending = f" It had the opposite effect on gifts in {other}."
    assert found["verdict"]["sentence"].endswith(ending)


def in_two_currencies(usd: int, eur: int) -> dict[str, Any]:
    """Return the counters of an arm whose givers gave 50.00 each."""
    givers = {"USD": usd, "EUR": eur}
    return {
        "givers": usd + eur,
        "givers_by_currency": givers,
        "raised": {code: 5_000 * number for code, number in givers.items()},
        "squares": {code: {"high": 0, "low": 5_000**2 * n} for code, n in givers.items()},
    }


def test_a_second_holdout_does_not_lead_the_report(alice: University) -> None:
    second = {"name": "second holdout", "weight": 1, "held_out": True}
    _, mailing = experiment(alice, arms=[*ARMS, second])
    store_arm(mailing, "sent", 10_000, [5_000] * 300)
    store_arm(mailing, "holdout", 10_000, [5_000] * 200)
    store_arm(mailing, "second holdout", 10_000, [5_000] * 900)
    found, arms = report(alice, mailing)
    assert arms["second holdout"]["comparison"]["verdict"]["kind"] == "caused"
    assert found["verdict"]["arm"] == "sent"


def test_without_a_holdout_the_first_arm_is_the_baseline(alice: University) -> None:
    _, mailing = experiment(alice, arms=AB)
    store_arm(mailing, "A", 10_000, [5_000] * 200)
    store_arm(mailing, "B", 10_000, [5_000] * 600)
    found, _ = report(alice, mailing)
    assert (found["baseline"], found["verdict"]["arm"]) == ("A", "B")
    assert "more than “A” would have from the same recipients" in found["verdict"]["sentence"]


def test_the_clearest_verdict_comes_first(alice: University) -> None:
    arms = [*AB, {"name": "C", "weight": 1_000_000}, {"name": "D", "weight": 0}]
    _, mailing = experiment(alice, arms=arms)
    for name, givers in (("A", 2_000), ("B", 2_010), ("C", 2_600)):
        store_arm(mailing, name, 10_000, [5_000] * givers)
    found, by_name = report(alice, mailing)
    assert found["verdict"]["arm"] == "C"
    kinds = [by_name[name]["comparison"]["verdict"]["kind"] for name in "BCD"]
    assert kinds == ["too_early", "caused", "not_started"]


def test_an_experiment_can_end_without_a_difference(alice: University) -> None:
    _, mailing = experiment(alice)
    for name in ("sent", "holdout"):
        store_arm(mailing, name, 100_000, [5_000] * 2_000)
    verdict = report(alice, mailing)[0]["verdict"]
    assert verdict["kind"] == "no_difference"
    assert verdict["sentence"].startswith("The response rates of “sent” and “holdout” differ by at")
