"""A report compares a period of local days with the previous one and the year before."""

from typing import Any

import pytest
from falcon import testing

from tools.testbed.cast import Api, University, create_university
from tools.testbed.settled import settle_all


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    body = {"time_zone": "America/New_York"}
    assert alice.call("PATCH", "/v1/organization", body).status == 200
    return alice


@pytest.fixture
def spring(alice: University) -> str:
    """Gifts at local days. The first one is on the next day in UTC, the last on the day before."""
    spring = alice.fundraiser()
    for at, amount in (
        ("2026-03-08T04:59:00Z", 1),  # March 7, 23:59
        ("2026-03-08T05:00:00Z", 10),  # March 8, the day on which clocks change
        ("2026-03-10T03:59:00Z", 100),  # March 9, 23:59
        ("2026-03-10T04:00:00Z", 1_000),  # March 10
        ("2025-03-08T12:00:00Z", 10_000),
    ):
        alice.gift(spring, amount, donated_at=at)
    alice.gift(spring, 5, currency="EUR", donated_at="2026-03-09T12:00:00Z")
    settle_all()
    return spring


def read_period(alice: University, of: str, query: str) -> Any:
    return alice.get(f"/v1/fundraisers/{of}/report?{query}")["period"]


def test_a_period_has_the_gifts_of_its_local_days(alice: University, spring: str) -> None:
    period = read_period(alice, spring, "from=2026-03-08&to=2026-03-09")
    assert period["by_day"] == [
        {"day": "2026-03-08", "count": 1, "raised": {"USD": 10}},
        {"day": "2026-03-09", "count": 2, "raised": {"EUR": 5, "USD": 100}},
    ]
    assert (period["from"], period["to"]) == ("2026-03-08", "2026-03-09")
    assert (period["count"], period["raised"]) == (3, {"EUR": 5, "USD": 110})
    assert period["previous"] == {
        "from": "2026-03-06",
        "to": "2026-03-07",
        "count": 1,
        "raised": {"USD": 1},
    }
    assert period["year_before"] == {
        "from": "2025-03-08",
        "to": "2025-03-09",
        "count": 1,
        "raised": {"USD": 10_000},
    }


def test_a_period_can_be_longer_than_a_chart(alice: University, spring: str) -> None:
    period = read_period(alice, spring, "from=2025-01-01&to=2026-12-31")
    assert (period["count"], period["raised"]) == (6, {"EUR": 5, "USD": 11_111})
    assert len(period["by_day"]) == 5
    assert read_period(alice, spring, "from=2028-02-29&to=2028-02-29")["year_before"]["from"] == (
        "2027-02-28"
    )


def test_a_report_without_a_period_has_none(alice: University, spring: str) -> None:
    assert alice.report(spring)["period"] is None


def test_unacceptable_periods_are_rejected(alice: University, spring: str) -> None:
    created = alice.get(f"/v1/fundraisers/{spring}")["created_at"]
    for query, pointer, code in (
        ("to=2026-03-09", "/from", "missing"),
        ("from=2026-03-09&to=2026-03-08", "/from", "order"),
        ("from=2016-01-01&to=2026-03-08", "/from", "too_long"),
        (f"from=2026-03-09&as_of={created}", "/as_of", "combined"),
    ):
        answer = alice.call("GET", f"/v1/fundraisers/{spring}/report?{query}")
        assert answer.status == 422
        (error,) = answer.json["errors"]
        assert (error["pointer"], error["code"]) == (pointer, code)
    for day in ("yesterday", "2026-02-30", "0001-01-01", "9999-12-31"):
        answer = alice.call("GET", f"/v1/fundraisers/{spring}/report?from={day}&to={day}")
        assert answer.status == 422, day
