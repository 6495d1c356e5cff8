"""Every English reason that a decision can store has a label."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

from bson import ObjectId

from documents.matching.fitting import Candidate, MatchedGift
from documents.matching.policy import TOUCH_PREFERENCE, MatchPolicy
from documents.matching.rules import Decision, MatchEvidence, Pin, match_gift
from service.dashboard.presentation.language import Marked
from service.dashboard.presentation.stored_reasons import reason_label

SPRING, LIBRARY = ObjectId(), ObjectId()
GIVEN = datetime(2026, 11, 28, tzinfo=UTC)
GIFT = MatchedGift(SPRING, GIVEN)


def email(days: float | None, did: str = "", fundraiser: ObjectId = SPRING) -> Candidate:
    sent = None if days is None else GIVEN - timedelta(days=days)
    touched = GIVEN - timedelta(hours=1)
    return Candidate(
        ObjectId(),
        fundraiser,
        None,
        ObjectId(),
        sent,
        touched if did == "opened" else None,
        touched if did == "clicked" else None,
    )


def failed(name: str) -> Candidate:
    return replace(email(1), **{name: GIVEN})  # type: ignore[arg-type]


def policies() -> Iterator[MatchPolicy]:
    for number in (1, 2, 3):
        for prefer in permutations(TOUCH_PREFERENCE, number):
            for touch in ("first", "last"):
                yield MatchPolicy(prefer=prefer, touch=touch)


def decisions() -> Iterator[Decision]:
    chosen, other = email(1), email(1, fundraiser=LIBRARY)
    first = match_gift(GIFT, MatchEvidence(named=chosen), MatchPolicy())
    for evidence in (
        MatchEvidence(pin=Pin(chosen)),
        MatchEvidence(pin=Pin(None)),
        MatchEvidence(pin=Pin(chosen, is_gone=True)),
        MatchEvidence(first=first),
        MatchEvidence(named=chosen),
        MatchEvidence(named=other),
    ):
        yield match_gift(GIFT, evidence, MatchPolicy())
        yield match_gift(GIFT, evidence, MatchPolicy(other_fundraiser="match"))
    donors = [email(days, did) for days in (1, 2) for did in ("clicked", "opened", "")]
    lost = [email(None), email(-1), email(9999), other, failed("bounced_at"), failed("dropped_at")]
    for policy in policies():
        for some in (donors, donors[1:], donors[2:3], lost):
            yield match_gift(GIFT, MatchEvidence(donors=some), policy)


def test_every_stored_reason_has_a_label() -> None:
    stored = {reason for decision in decisions() for _, reason in decision.considered}
    stored |= {decision.note for decision in decisions() if decision.note}
    assert len(stored) >= 22
    assert {"bounced", "dropped"} <= stored
    assert [one for one in sorted(stored) if not isinstance(reason_label(one), Marked)] == []


def test_a_reason_of_a_later_version_is_shown_unchanged() -> None:
    assert reason_label("sent by pigeon") == "sent by pigeon"
