"""The gifts that an update of an email can affect: pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.matching.candidates import to_candidate
from documents.matching.changed_touches import find_affected_since
from documents.matching.fitting import MatchedGift
from documents.matching.policy import MatchPolicy
from documents.matching.rules import MatchEvidence, match_gift
from documents.rows.email import EmailRow
from tests.rows import email_row

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIRST_TIMES = (
    *("sent_at", "first_opened_at", "first_clicked_at"),
    *("delivered_at", "bounced_at", "dropped_at"),
)


def at(hour: int) -> datetime:
    return NOON + timedelta(hours=hour)


def email(**hours: int) -> EmailRow:
    return email_row(**{name: at(hour) for name, hour in hours.items()})


def first(**hours: int) -> dict[str, dict[str, datetime]]:
    return {"$min": {name: at(hour) for name, hour in hours.items()}}


@pytest.mark.parametrize("name", ["bounced_at", "dropped_at"])
def test_an_email_that_did_not_arrive_affects_all_gifts_since_it_was_sent(name: str) -> None:
    assert find_affected_since(email(sent_at=1), first(**{name: 5})) == at(1)
    assert find_affected_since(email(), first(**{name: 5, "sent_at": 2})) == at(2)
    assert find_affected_since(email(), first(**{name: 5})) is None  # it cannot match


def test_a_second_report_of_a_bounce_affects_nothing() -> None:
    assert find_affected_since(email(sent_at=1, bounced_at=5), first(bounced_at=4)) is None


def test_a_delivery_affects_only_an_email_that_failed() -> None:
    assert find_affected_since(email(sent_at=1), first(delivered_at=2)) is None
    assert find_affected_since(email(sent_at=1, bounced_at=2), first(delivered_at=3)) == at(1)
    assert find_affected_since(email(sent_at=1, bounced_at=2), first(delivered_at=2)) is None
    assert find_affected_since(email(sent_at=1, dropped_at=2), first(delivered_at=3)) == at(1)


def test_an_open_affects_gifts_since_then_and_earlier_ones_if_it_refutes_a_bounce() -> None:
    opened = first(first_opened_at=8)
    assert find_affected_since(email(sent_at=1), opened) == at(8)
    assert find_affected_since(email(sent_at=1, bounced_at=2), opened) == at(1)
    machines = {"$unset": {"first_clicked_at": ""}}
    refuted = email(sent_at=1, bounced_at=2, first_clicked_at=9)
    assert find_affected_since(refuted, machines) == at(1)


hours = st.integers(-50, 50)
times = st.dictionaries(st.sampled_from(FIRST_TIMES), hours, max_size=6)


@given(times, times, hours, st.integers(1, 100), st.sampled_from(["first", "last"]))
def test_a_gift_whose_match_changes_is_always_affected(
    known: dict[str, int], moved: dict[str, int], given_at: int, window: int, touch: Any
) -> None:
    row = email(**known)
    after: Any = {**row}
    for name, hour in moved.items():
        after[name] = min(at(hour), after.get(name, at(hour)))
    gift = MatchedGift(row["fundraiser_id"], at(given_at))
    other = to_candidate(email(sent_at=-20) | {"fundraiser_id": row["fundraiser_id"]})
    policy = MatchPolicy(window=timedelta(hours=window), touch=touch)

    def matched(one: EmailRow) -> tuple[ObjectId | None, str | None]:
        decision = match_gift(gift, MatchEvidence(donors=(to_candidate(one), other)), policy)
        return decision.email.id if decision.email else None, decision.touch

    since = find_affected_since(row, first(**moved))
    if matched(row) != matched(after):
        assert since is not None
        assert since <= gift.donated_at
