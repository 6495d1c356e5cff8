"""A mailing whose cost changes often keeps a small row, and each earlier cost stays exact."""

import time
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from falcon import testing
from mongoengine import get_db

from documents.errors import Conflict
from documents.former_cost import MAX_KEPT_COSTS
from documents.mailing import Mailing
from documents.values.fields import format_time
from documents.values.time import truncate_to_milliseconds
from tools.testbed.cast import Api, University, create_university
from tools.testbed.settled import settle_all

CHANGES = 3 * MAX_KEPT_COSTS
MAX_ROW_BYTES = 4_000


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def mailing(alice: University) -> str:
    """Create a mailing with a gift of 100 dollars, so that its cost ratio shows its cost."""
    spring = alice.fundraiser()
    made = alice.mailing(spring)
    email = alice.email(spring, mailing_id=made)
    alice.gift(spring, 10_000, email_id=email)
    settle_all()
    return made


def set_cost(alice: University, mailing: str, amount: int | None) -> datetime:
    """Change the cost. Return a time after this change and before the next one."""
    time.sleep(0.002)  # times have milliseconds
    cost = None if amount is None else {"amount": amount, "currency": "USD"}
    assert alice.call("PATCH", f"/v1/mailings/{mailing}", {"cost": cost}).status == 200
    at = truncate_to_milliseconds(datetime.now(UTC))
    time.sleep(0.002)
    return at


def read_ratio(alice: University, path: str, at: datetime) -> Any:
    report = alice.get(f"{path}/report?as_of={format_time(at)}")
    of = report["mailings"][0] if report["mailings"] else report
    return of["cost_per_unit_raised"]


def test_each_time_has_its_cost_and_the_row_stays_small(alice: University, mailing: str) -> None:
    fundraiser = alice.get(f"/v1/mailings/{mailing}")["fundraiser_id"]
    noted: list[tuple[datetime, Any]] = [(truncate_to_milliseconds(datetime.now(UTC)), {})]
    for number in range(CHANGES):
        amount = None if number % 7 == 3 else 100 + number
        ratio = {} if amount is None else {"USD": amount / 10_000}
        noted.append((set_cost(alice, mailing, amount), ratio))
    row = get_db().mailings.find_one() or {}
    assert len(row["former_costs"]) == MAX_KEPT_COSTS
    assert len(bson.encode(row)) < MAX_ROW_BYTES
    for path in (f"/v1/mailings/{mailing}", f"/v1/fundraisers/{fundraiser}"):
        assert [read_ratio(alice, path, at) for at, _ in noted] == [ratio for _, ratio in noted]


def test_a_failed_save_changes_no_earlier_cost(
    alice: University, mailing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [set_cost(alice, mailing, number) for number in range(1, MAX_KEPT_COSTS + 2)]
    record = Mailing.objects.get(id=mailing)

    def fail(*_: Any, **__: Any) -> None:
        raise Conflict("")

    with monkeypatch.context() as patch:
        patch.setattr(Mailing, "save", fail)
        with pytest.raises(Conflict):
            record.amend({"cost": {"amount": 9_999, "currency": "USD"}})
    path = f"/v1/mailings/{mailing}"
    expected = [{"USD": number / 10_000} for number in range(1, MAX_KEPT_COSTS + 2)]
    assert [read_ratio(alice, path, at) for at in times] == expected
    set_cost(alice, mailing, 9_999)
    assert [read_ratio(alice, path, at) for at in times] == expected


def test_a_long_list_of_an_earlier_version_becomes_short(alice: University, mailing: str) -> None:
    times = [set_cost(alice, mailing, number) for number in range(1, MAX_KEPT_COSTS + 1)]
    row = get_db().mailings.find_one() or {}
    moved = list(get_db().former_costs.find())
    assert moved == []
    first = {**row["former_costs"][0], "until": times[0]}
    long = [{**first, "amount": 7, "currency": "USD"}] * 100 + row["former_costs"]
    get_db().mailings.update_one({}, {"$set": {"former_costs": long}})
    set_cost(alice, mailing, 5)
    row = get_db().mailings.find_one() or {}
    assert len(row["former_costs"]) == MAX_KEPT_COSTS
    ratios = [read_ratio(alice, f"/v1/mailings/{mailing}", at) for at in times]
    assert ratios == [{"USD": number / 10_000} for number in range(1, MAX_KEPT_COSTS + 1)]
