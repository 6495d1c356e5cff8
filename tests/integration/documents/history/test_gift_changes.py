"""The changes of gifts explain the difference between any two reports, to the cent."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.values.fields import format_time
from tests.integration.documents.history.day import RandomDay
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university
from tools.testbed.settled import settle_all


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


@pytest.fixture
def charlie(real_client: testing.TestClient) -> University:
    return create_university("Charlie's University", Api.in_process(real_client))


def read_changes(alice: University, spring: str, since: datetime, until: datetime) -> Any:
    times = f"from={format_time(since)}&to={format_time(until)}"
    return alice.get(f"/v1/fundraisers/{spring}/changes?limit=200&{times}")


def read_figures(alice: University, spring: str, at: datetime) -> tuple[int, dict[str, int]]:
    report = alice.get(f"/v1/fundraisers/{spring}/report?as_of={format_time(at)}")
    return report["donations"]["count"], report["donations"]["raised"]


def assert_explained(alice: University, spring: str, since: datetime, until: datetime) -> None:
    (before, raised_before), (after, raised_after) = (
        read_figures(alice, spring, at) for at in (since, until)
    )
    found = read_changes(alice, spring, since, until)
    assert found["explanation"]["before"] == {"count": before, "raised": raised_before}
    assert found["explanation"]["after"] == {"count": after, "raised": raised_after}
    totals = [*found["explanation"]["by_kind"].values(), found["explanation"]["corrections"]]
    by_kind, by_gift = Counter(raised_before), Counter(raised_before)
    for one in totals:
        by_kind.update(one["raised"])
    by_gift.update(found["explanation"]["corrections"]["raised"])
    for change in found["data"]:
        amounts = [(change[name] or {"amount": 0})["amount"] for name in ("before", "after")]
        assert amounts[1] - amounts[0] == change["difference"]
        by_gift[change["currency"]] += change["difference"]
    assert {code: amount for code, amount in by_kind.items() if amount} == raised_after
    assert {code: amount for code, amount in by_gift.items() if amount} == raised_after
    assert before + sum(one["count"] for one in totals) == after


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_changes_explain_the_difference_of_any_two_times(
    alice: University, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    day = RandomDay(alice, monkeypatch, seed)
    times = [day.at]
    for _ in range(40):
        day.step()
        times.append(day.at)
    for since, until in [*pairwise(times[::4]), (times[0], times[-1]), (times[7], times[31])]:
        for spring in day.fundraisers:
            assert_explained(alice, spring, since, until)
    kinds = get_db().gift_changes.distinct("changes.kinds")
    assert len(kinds) >= 3
    for spring in day.fundraisers:
        explanation = read_changes(alice, spring, times[0], times[-1])["explanation"]
        assert bool(explanation["corrections"]["raised"]) == bool(day.repairs)


class QuietDay:
    """A day of one gift, which notes the kinds of each of its changes."""

    def __init__(self, alice: University) -> None:
        self.alice = alice
        self.spring = alice.fundraiser()
        self.mailing = alice.mailing(self.spring)
        self.since = alice.get(f"/v1/fundraisers/{self.spring}")["created_at"]

    def list_changes(self) -> list[Any]:
        settle_all()
        path = f"/v1/fundraisers/{self.spring}/changes?from={self.since}"
        changes: list[Any] = self.alice.get(path)["data"]
        return changes


def test_each_change_of_a_gift_has_its_kind(alice: University) -> None:
    day = QuietDay(alice)
    gift = alice.gift(day.spring, 2500, donated_at="2026-01-05T00:00:00Z")
    settle_all()
    path = f"/v1/donations/{gift}"
    email = alice.email(day.spring, mailing_id=day.mailing, sent_at="2026-01-01T00:00:00Z")
    settle_all()
    alice.call("PATCH", path, {"refunded_amount": 500})
    settle_all()
    alice.call("PUT", f"{path}/match", {"email_id": None})
    settle_all()
    alice.call("PATCH", path, {"status": "disputed"})
    settle_all()
    alice.call("PATCH", path, {"status": "succeeded"})
    settle_all()
    alice.call("DELETE", path)
    changes = day.list_changes()
    found = [(one["kinds"], one["difference"], one["refunded"]) for one in changes]
    assert found == [
        (["new"], 2500, 0),
        (["matched_again"], 0, 0),
        (["refunded"], -500, 500),
        (["pinned"], 0, 0),
        (["status"], -2000, -500),
        (["status"], 2000, 500),
        (["deleted"], -2000, -500),
    ]
    matched = changes[1]["after"]
    assert matched == {
        "match": "address", "email_id": email, "mailing_id": day.mailing, "amount": 2500
    }  # fmt: skip
    assert {one["donation_id"] for one in changes} == {gift}


def test_a_change_names_no_person(alice: University) -> None:
    day = QuietDay(alice)
    alice.email(day.spring, mailing_id=day.mailing)
    alice.gift(day.spring)
    assert len(day.list_changes()) == 1
    stored = str(list(get_db().gift_changes.find()) + list(get_db().counter_changes.find()))
    assert BOB["name"] not in stored
    assert BOB["email"] not in stored


def test_settling_again_is_no_change(alice: University) -> None:
    day = QuietDay(alice)
    alice.gift(day.spring)
    before = day.list_changes()
    get_db().donations.update_many({}, [{"$set": {"due": "$$NOW"}}])
    assert day.list_changes() == before


def test_pages_follow_each_other(alice: University) -> None:
    day = QuietDay(alice)
    for amount in range(1, 6):
        alice.gift(day.spring, amount)
    settle_all()
    path = f"/v1/fundraisers/{day.spring}/changes?from={day.since}&limit=2"
    page, seen = alice.get(path), []
    assert page["explanation"]["by_kind"]["new"] == {
        "changes": 5, "count": 5, "raised": {"USD": 15}
    }  # fmt: skip
    while True:
        seen += [change["difference"] for change in page["data"]]
        if page["next_cursor"] is None:
            break
        page = alice.get(f"{path}&cursor={page['next_cursor']}")
        assert page["explanation"] is None
    assert sorted(seen) == [1, 2, 3, 4, 5]


def test_other_universities_see_nothing(alice: University, charlie: University) -> None:
    day = QuietDay(alice)
    for spring in (day.spring, UNKNOWN_ID):
        path = f"/v1/fundraisers/{spring}/changes?from={day.since}"
        assert charlie.call("GET", path).status == 404


def test_unacceptable_times_are_rejected(alice: University) -> None:
    day = QuietDay(alice)
    path = f"/v1/fundraisers/{day.spring}/changes"
    later = format_time(datetime.fromisoformat(day.since) + timedelta(milliseconds=1))
    for query, pointer, code in (
        ("from=2026-01-01T00:00:00Z", "/from", "before_history"),
        (f"from={day.since}&to=2199-01-01T00:00:00Z", "/to", "future"),
        (f"from={later}&to={day.since}", "/from", "order"),
        ("", "/from", "missing"),
    ):
        answer = alice.call("GET", f"{path}?{query}")
        assert answer.status == 422
        (error,) = answer.json["errors"]
        assert (error["pointer"], error["code"]) == (pointer, code)
