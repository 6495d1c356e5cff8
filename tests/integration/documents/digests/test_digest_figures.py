"""The figures of a digest equal a plain sum over all gifts, and the dashboard's days."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.digests.rules import DigestPeriod, find_last_period
from documents.fundraiser import Fundraiser
from documents.organization import Organization
from documents.reports.digest_figures import build_digest_figures, count_matched_again
from documents.reports.report import build_fundraiser_report
from documents.values.time import now
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.settled import settle_all

# Noon in UTC on the day after the clocks changed in New York.
AT = datetime(2026, 11, 2, 17, tzinfo=UTC)
ZONES = ("America/New_York", "Europe/Berlin", "Australia/Adelaide", "Asia/Kathmandu")
EVE = {"name": "Eve", "email": "eve@example.org"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def give_for_weeks(alice: University) -> str:
    """Create gifts of every kind, also at the edges of local days."""
    chance = random.Random(29)
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    mailings = [alice.mailing(spring, name=f"Mailing {n}") for n in range(7)]
    sent = "2026-10-01T00:00:00Z"
    emails = [alice.email(spring, mailing_id=one, sent_at=sent) for one in mailings]
    for zone in ZONES:
        begin, end = find_last_period("daily", AT, ZoneInfo(zone)).get_bounds(ZoneInfo(zone))
        for at in (begin, begin - timedelta(milliseconds=1), end - timedelta(milliseconds=1), end):
            alice.gift(spring, 101, donated_at=at.isoformat(), email_id=emails[0])
    for number in range(90):
        at = AT - timedelta(minutes=chance.randrange(20 * 24 * 60))
        gift = alice.gift(
            chance.choice([spring, spring, spring, autumn]),
            chance.randrange(1, 100_000),
            chance.choice([BOB, EVE]),
            currency=chance.choice(["USD", "USD", "EUR", "JPY"]),
            donated_at=at.isoformat(),
            email_id=chance.choice([*emails, None, None]),
            status=chance.choice(["succeeded"] * 5 + ["pending", "failed"]),
        )
        if number % 9 == 0:
            alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 1})
        if number % 13 == 0:
            alice.call("PATCH", f"/v1/donations/{gift}", {"status": "refunded"})
        if number % 17 == 0:
            alice.call("DELETE", f"/v1/donations/{gift}")
    settle_all()
    return spring


def add_up(gifts: list[dict[str, Any]]) -> dict[str, Any]:
    raised: Counter[str] = Counter()
    for gift in gifts:
        raised[gift["currency"]] += gift["amount"] - gift.get("refunded_amount", 0)
    return {"count": len(gifts), "raised": {code: n for code, n in sorted(raised.items()) if n}}


def list_counted(fundraiser_id: str, period: DigestPeriod, zone: ZoneInfo) -> list[dict[str, Any]]:
    query = {"fundraiser_id": ObjectId(fundraiser_id), "status": "succeeded", "deleted_at": None}
    return [
        gift
        for gift in get_db().donations.find(query)
        if period.first <= gift["donated_at"].astimezone(zone).date() <= period.last
    ]


def test_figures_equal_a_plain_sum(alice: University) -> None:
    spring = give_for_weeks(alice)
    seen = 0
    for name in ZONES:
        zone = ZoneInfo(name)
        Organization.objects(id=alice.id).update(set__time_zone=name)
        fundraiser = Fundraiser.fetch(ObjectId(alice.id), spring)
        days = {line["day"]: line for line in build_fundraiser_report(fundraiser)["by_day"]}
        for frequency in ("daily", "weekly"):
            period = find_last_period(frequency, AT, zone)
            while period.first > AT.date() - timedelta(days=25):
                figures = build_digest_figures(fundraiser, period, zone)
                gifts = list_counted(spring, period, zone)
                assert figures["total"] == add_up(gifts)
                assert figures["previous"] == add_up(list_counted(spring, period.previous, zone))
                without = [gift for gift in gifts if gift["match"] == "none"]
                assert figures["without_email"] == add_up(without)
                assert figures["uncounted"] == 0
                check_mailings(figures["mailings"], gifts)
                if frequency == "daily" and gifts:
                    line = days[period.first]
                    assert {**figures["total"], "day": period.first} == line
                    seen += 1
                period = period.previous
    assert seen > 50


def check_mailings(top: list[Any], gifts: list[dict[str, Any]]) -> None:
    by_mailing: dict[ObjectId, list[dict[str, Any]]] = {}
    for gift in gifts:
        if gift.get("mailing_id"):
            by_mailing.setdefault(gift["mailing_id"], []).append(gift)
    assert len(top) == min(len(by_mailing), 5)
    for line in top:
        assert {"id": line["id"], **add_up(by_mailing[line["id"]])} == line
    dollars = [line["raised"].get("USD", 0) for line in top]
    if "USD" in add_up(gifts)["raised"]:
        assert dollars == sorted(dollars, reverse=True)
        shown = {line["id"] for line in top}
        rest = [add_up(of)["raised"] for id_, of in by_mailing.items() if id_ not in shown]
        assert all(dollars[-1] >= one.get("USD", 0) for one in rest)


def test_a_change_of_the_match_is_counted_once_for_each_gift(alice: University) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    email, other = alice.email(spring), alice.email(spring)
    gifts = [alice.gift(spring, email_id=email) for _ in range(3)]
    alice.gift(spring)
    elsewhere = alice.gift(autumn)
    settle_all()
    begin = now()
    assert count_matched_again(ObjectId(spring), begin - timedelta(days=1), begin) == 0
    for target in (other, None):
        for gift in (*gifts[:2], elsewhere):
            alice.call("PUT", f"/v1/donations/{gift}/match", {"email_id": target})
        settle_all()
    alice.call("DELETE", f"/v1/donations/{gifts[2]}")
    settle_all()
    end = now() + timedelta(milliseconds=1)
    assert count_matched_again(ObjectId(spring), begin, end) == 2
    assert count_matched_again(ObjectId(autumn), begin, end) == 1
    assert count_matched_again(ObjectId(spring), end, end + timedelta(days=1)) == 0


def test_gifts_that_are_not_settled_are_named(alice: University) -> None:
    spring = alice.fundraiser()
    alice.gift(spring, donated_at="2026-11-01T12:00:00Z")
    zone = ZoneInfo("UTC")
    period = find_last_period("daily", AT, zone)
    fundraiser = Fundraiser.fetch(ObjectId(alice.id), spring)
    assert build_digest_figures(fundraiser, period, zone)["uncounted"] == 1
    settle_all()
    assert build_digest_figures(fundraiser, period, zone)["uncounted"] == 0


def measure_reads(fundraiser_id: str, organization_id: str) -> tuple[int, int]:
    """Return the keys and documents that MongoDB examines for the figures of a week."""
    database = get_db()
    fundraiser = Fundraiser.fetch(ObjectId(organization_id), fundraiser_id)
    database.command("profile", 2)
    zone = ZoneInfo("UTC")
    build_digest_figures(fundraiser, find_last_period("weekly", AT, zone), zone)
    database.command("profile", 0)
    seen = list(database["system.profile"].find({"ns": {"$not": {"$regex": "profile"}}}))
    database.drop_collection("system.profile")
    return (
        sum(one.get("keysExamined", 0) for one in seen),
        sum(one.get("docsExamined", 0) for one in seen),
    )


def test_the_cost_does_not_grow_with_matched_gifts(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, mailing_id=alice.mailing(spring), sent_at="2026-10-01T00:00:00Z")
    reads = []
    for number in (1, 60):
        for _ in range(number):
            alice.gift(spring, donated_at="2026-10-30T12:00:00Z", email_id=email)
        settle_all()
        reads.append(measure_reads(spring, alice.id))
    assert reads[0] == reads[1]
