"""The engine computes rows with an equal signature once, so signatures must decide all amounts."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.conditions import SUMMED_EMAIL_FIELDS, TESTED_EMAIL_FIELDS, sign_email
from documents.counters import LEDGER
from documents.donation import Donation
from documents.user import User
from matchback.engine import CounterCache, LatestCache, Ledger, from_stored, to_stored

START = datetime(2026, 11, 28, tzinfo=UTC)
times = st.integers(0, 3).map(lambda hours: START + timedelta(hours=hours))
counts = st.integers(0, 2)
groups = st.dictionaries(st.sampled_from(["all", "news"]), times)
EMAIL_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(TESTED_EMAIL_FIELDS, times),
    **dict.fromkeys(SUMMED_EMAIL_FIELDS, counts),
    "donations_count": counts,
    "left": groups,
    "back": groups,
    "deleted_at": st.none() | times,
    "arm_id": st.sampled_from(["a", "b"]),
    "held_out": st.just(True),
    "outcome_until": st.integers(0, 1).map(lambda days: START + timedelta(days=days)),
    "raised": st.dictionaries(st.sampled_from(["EUR", "USD"]), st.integers(1, 2)),
}
IDS = {name: ObjectId() for name in ("_id", "fundraiser_id", "mailing_id", "user_id")}
emails = st.fixed_dictionaries({}, optional=EMAIL_FIELDS).map(
    lambda row: IDS | {"outcome_until": START} | row
)


@given(emails, st.dictionaries(st.sampled_from(sorted(EMAIL_FIELDS)), times), st.booleans())
def test_emails_with_an_equal_signature_count_equally(one: Any, moved: Any, same: bool) -> None:
    """The other email has other times, and other fields unless they are the same."""
    moved = {name: at for name, at in moved.items() if name.endswith("_at")}
    other: Any = {**one, **{name: at for name, at in moved.items() if not same or one.get(name)}}
    other["deleted_at"] = one.get("deleted_at")
    counted = [to_stored(LEDGER.contribution("emails", row)) for row in (one, other)]
    assert sign_email(one) != sign_email(other) or counted[0] == counted[1]


@given(emails, st.sets(st.sampled_from(sorted(IDS))))
def test_shares_are_the_stored_contribution(email: Any, missing: set[str]) -> None:
    row = {name: value for name, value in email.items() if name not in missing}
    LEDGER.shares("emails", {**IDS, **row})  # another row of this signature, with other targets
    shares, contribution = LEDGER.shares("emails", row), LEDGER.contribution("emails", row)
    assert from_stored(shares) == contribution
    if not (row.get("raised") or row.get("donations_count")):
        # otherwise, the amounts of splits are shares of their own
        assert shares == to_stored(contribution)


@given(st.sampled_from(["open", "click", "bounce", "unheard-of"]), st.none() | st.booleans())
def test_events_are_computed_by_the_fields_that_their_counters_name(
    kind: str, machine: bool | None
) -> None:
    event = {"email_id": ObjectId(), "clicker_id": ObjectId(), "type": kind, "machine": machine}
    for _ in range(2):
        assert LEDGER.shares("events", event) == to_stored(LEDGER.contribution("events", event))


def test_only_sources_with_one_target_in_each_collection_and_no_latest_time_are_shared() -> None:
    assert {name for name in LEDGER.order if LEDGER.can_share(name)} == {
        "archives",
        "clickers",
        "emails",
        "events",
    }


def test_a_source_with_a_latest_time_is_not_shared() -> None:
    """Settling reads the time from the change of each record, so equal changes stay apart."""
    gifts: dict[str, Any] = {"of": Donation, "on": User, "via": "user_id"}
    counter: CounterCache[Any] = CounterCache(field="donations_count", **gifts, reads=())
    latest = LatestCache(field="last_donated_at", **gifts, at="donated_at")
    assert Ledger([counter]).can_share("donations")
    assert not Ledger([counter, latest]).can_share("donations")


@given(st.lists(emails, min_size=1, max_size=5))
def test_stored_shares_are_read_again(rows: list[Any]) -> None:
    for row in rows:
        assert from_stored(LEDGER.shares("emails", row)) == LEDGER.contribution("emails", row)
