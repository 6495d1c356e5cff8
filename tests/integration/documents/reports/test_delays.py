"""A mailing's report shows how many hours after their email its gifts came."""

from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.migrations.migration import run_migrations
from documents.migrations.steps import DELAYS_MIGRATION, MIGRATIONS
from documents.recount import recount
from tools.testbed.cast import Api, University, create_university
from tools.testbed.settled import settle_all

SENT = "2026-11-01T12:00:00Z"
OURS = tuple(one for one in MIGRATIONS if one.number == DELAYS_MIGRATION)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def read_delays(alice: University, mailing: str) -> tuple[dict[Any, int], int, float | None]:
    told = alice.get(f"/v1/mailings/{mailing}/report")["hours_to_gift"]
    counts = {one["below_hours"]: one["count"] for one in told["classes"] if one["count"]}
    return counts, told["before_email"], told["within_48_hours"]


def test_gifts_are_counted_by_the_hours_after_their_email(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    assert read_delays(alice, mailing) == ({}, 0, None)
    email = alice.email(spring, mailing_id=mailing, sent_at=SENT)
    times = [f"2026-11-0{day}" for day in (1, 2, 3, 9)]
    gifts = [alice.gift(spring, email_id=email, donated_at=f"{at}T12:30:00Z") for at in times]
    alice.gift(spring, email_id=email, donated_at="2026-11-01T11:00:00Z")
    alice.gift(spring, email_id=email, donated_at="2026-12-02T12:00:00Z")
    alice.gift(spring, donor={"name": "Eve", "email": "eve@example.org"})  # without an email
    settle_all()
    right = {1: 1, 48: 1, 72: 1, 336: 1, None: 1}, 1, round(2 / 6, 4)
    assert read_delays(alice, mailing) == right
    assert alice.report(spring)["hours_to_gift"]["within_48_hours"] == right[2]
    assert alice.call("DELETE", f"/v1/donations/{gifts[0]}").status == 204
    settle_all()
    assert read_delays(alice, mailing) == ({48: 1, 72: 1, 336: 1, None: 1}, 1, 0.2)


def test_a_later_instalment_is_not_counted(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing, sent_at=SENT)
    plan: Any = {"email_id": email, "recurring_id": "plan"}
    alice.gift(spring, donated_at="2026-11-01T13:30:00Z", **plan)
    alice.gift(spring, donated_at="2026-12-01T13:30:00Z", **plan)
    settle_all()
    assert read_delays(alice, mailing) == ({2: 1}, 0, 1)


def test_gifts_of_an_earlier_version_are_counted_by_the_migration(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing, sent_at=SENT)
    alice.gift(spring, email_id=email, donated_at="2026-11-01T13:30:00Z")
    settle_all()
    right = read_delays(alice, mailing)
    get_db().donations.update_many({}, {"$unset": {"delay": ""}})
    for drift in list(recount.find_drifts()):
        recount.repair_counter(drift)
    assert read_delays(alice, mailing) == ({}, 0, None)
    list(run_migrations(OURS))
    assert read_delays(alice, mailing) == right
    assert list(recount.find_drifts()) == []
