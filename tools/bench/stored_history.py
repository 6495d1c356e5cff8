"""The history, the segments and the experiment of a counted fundraiser, as settling leaves them.

The latest days are the same for any number of gifts. All other gifts came before them, many in each
hour.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.arm import Arm
from documents.experiment import make_arm_id
from documents.experiment_changes import set_experiment
from documents.fundraiser import Fundraiser
from documents.gift_day import make_gift_day_id, quarter_key
from documents.history.gift_rules import StoredChange
from documents.history.hours import sum_next_hour
from documents.history.journal import JOURNAL
from documents.mailing import Mailing
from documents.participant import build_participant_values
from documents.segments.segment import Segment, make_segment_id
from documents.storage.record import build_record_row
from matchback.engine import Tx, make_journal_id

LATEST_CHANGES, LATEST_DAYS = 200, 40
LAST_CHANGE_AT = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
EARLIER_CHANGES_A_HOUR = 2_000
CHANGES_A_COMMAND = 5_000
GIFT_CENTS = 2_500
SCHOOLS = ("Law", "Arts", "Medicine")
ARM_NAMES = ("held", "sent")
BEFORE_HISTORY = LAST_CHANGE_AT - timedelta(days=3_650)
AFTER_HISTORY = LAST_CHANGE_AT + timedelta(days=3_650)


def list_change_times(number: int) -> Iterator[datetime]:
    """Yield the times of the settlements of this many gifts, the earliest first."""
    earlier = number - LATEST_CHANGES
    first_hour = LAST_CHANGE_AT - timedelta(
        days=LATEST_DAYS, hours=earlier // EARLIER_CHANGES_A_HOUR + 1
    )
    for index in range(earlier):
        hour, place = divmod(index, EARLIER_CHANGES_A_HOUR)
        yield first_hour + timedelta(hours=hour, seconds=place)
    for index in range(LATEST_CHANGES):
        yield (
            LAST_CHANGE_AT
            - timedelta(days=LATEST_DAYS) * (LATEST_CHANGES - 1 - index) / LATEST_CHANGES
        )


def store_history(
    fundraiser: Fundraiser, number: int, user_ids: Iterable[ObjectId] | None = None
) -> Mailing:
    """Store the changes of this many gifts of a new mailing.

    Return the mailing, which has an experiment with as many recipients, and segments. Call
    `store_sums` when all fundraisers have their history, because hours are summed in order.

    Args:
        user_ids: users who take part in the experiment; by default, as many others as gifts.
    """
    mailing = _create_mailing(fundraiser, number)
    rows = HistoryRows(fundraiser, mailing)
    for at in list_change_times(number):
        rows.add(at)
    rows.write()
    for record in (fundraiser, mailing):
        known = {"$set": {"journal_from": BEFORE_HISTORY, "created_at": BEFORE_HISTORY}}
        get_db()[record._get_collection_name()].update_one({"_id": record.id}, known)
    _store_segments(mailing, number)
    others = (ObjectId() for _ in range(number))
    _store_experiment(mailing, number, user_ids or others)
    return Mailing.fetch(fundraiser.organization_id, mailing.id)


def store_sums() -> None:
    """Store the sums of all hours that are over."""
    while sum_next_hour(LAST_CHANGE_AT + timedelta(minutes=30)):
        pass


def _create_mailing(fundraiser: Fundraiser, number: int) -> Mailing:
    values = {"fundraiser_id": fundraiser.id, "name": "Tested", "sent_at": BEFORE_HISTORY}
    mailing = Mailing.create(fundraiser.organization_id, values)
    figures = {"donations_count": number, "emails_count": number, "donors": number}
    money = {"raised": {"USD": GIFT_CENTS * number}, "gifts": {"USD": number}}
    get_db().mailings.update_one({"_id": mailing.id}, {"$set": {**figures, **money}})
    return mailing


class HistoryRows:
    """Rows of the journal and of gift changes, written many at a time."""

    def __init__(self, fundraiser: Fundraiser, mailing: Mailing) -> None:
        self._fundraiser = fundraiser
        self._mailing = mailing
        self._changes: list[dict[str, Any]] = []
        self._inserts: dict[str, tuple[Callable[..., Any], list[Any]]] = {}

    def add(self, at: datetime) -> None:
        """Add the changes of one settlement of one gift."""
        tx = Tx(get_db())
        tx._at = at
        gift: Any = {"donated_at": at, "currency": "USD"}
        counters = {"donations_count": 1, "raised.USD": GIFT_CENTS, "gifts.USD": 1}
        day = {f"gifts.{quarter_key(gift)}": 1, f"raised.USD.{quarter_key(gift)}": GIFT_CENTS}
        amounts: dict[Any, dict[str, int]] = {}
        for kind, of in (("fundraiser", self._fundraiser), ("mailing", self._mailing)):
            amounts |= {of.id: counters, make_gift_day_id(kind, of.id, gift): day}
        JOURNAL.note(tx, amounts, self._send)
        self._changes.append(
            {
                "_id": make_journal_id(at),
                "organization_id": self._fundraiser.organization_id,
                "fundraiser_id": self._fundraiser.id,
                "at": at,
                "changes": [self._build_change()],
            }
        )
        if len(self._changes) >= CHANGES_A_COMMAND:
            self.write()

    def _send(self, insert: Callable[..., Any], rows: list[Any], **_: Any) -> None:
        self._inserts.setdefault("journal", (insert, []))[1].extend(rows)

    def _build_change(self) -> StoredChange:
        return {
            "_id": ObjectId(),
            "donation_id": ObjectId(),
            "kinds": ["new"],
            "currency": "USD",
            "after": {
                "match": "link",
                "amount": GIFT_CENTS,
                "email_id": ObjectId(),
                "mailing_id": self._mailing.id,
            },
        }

    def write(self) -> None:
        for insert, rows in self._inserts.values():
            insert(rows, ordered=False)
        self._inserts.clear()
        if self._changes:
            get_db().gift_changes.insert_many(self._changes, ordered=False)
        self._changes.clear()


def _store_segments(mailing: Mailing, number: int) -> None:
    each = number // len(SCHOOLS)
    for school in SCHOOLS:
        row = build_record_row(
            Segment,
            organization_id=mailing.organization_id,
            fundraiser_id=mailing.fundraiser_id,
            mailing_id=mailing.id,
            attribute="school",
            value=school,
            emails_count=each,
            matched={"count": each, "raised": {"USD": GIFT_CENTS * each}},
        )
        row["_id"] = make_segment_id(mailing.id, "school", school)
        get_db().segments.insert_one(row)


def _store_experiment(mailing: Mailing, number: int, user_ids: Iterable[ObjectId]) -> None:
    arms = [{"name": name, "weight": 1, "held_out": name == "held"} for name in ARM_NAMES]
    set_experiment(mailing, {"arms": arms, "window_days": 30, "scope": "organization"})
    recipients = number // len(ARM_NAMES)
    for name in ARM_NAMES:
        givers = recipients // 10
        row = build_record_row(
            Arm,
            organization_id=mailing.organization_id,
            fundraiser_id=mailing.fundraiser_id,
            mailing_id=mailing.id,
            recipients=recipients,
            givers=givers,
            givers_by_currency={"USD": givers},
            raised={"USD": GIFT_CENTS * givers},
            squares={"USD": {"high": 0, "low": GIFT_CENTS**2 * givers}},
        )
        row["_id"] = make_arm_id(mailing.id, name)
        get_db().arms.insert_one(row)
    users = iter(user_ids)
    while batch := list(islice(users, CHANGES_A_COMMAND)):
        rows = [_build_participant(mailing, place, user) for place, user in enumerate(batch)]
        get_db().participants.insert_many(rows, ordered=False)


def _build_participant(mailing: Mailing, place: int, user_id: ObjectId) -> dict[str, Any]:
    email: Any = {
        "organization_id": mailing.organization_id,
        "fundraiser_id": mailing.fundraiser_id,
        "user_id": user_id,
        "arm_id": make_arm_id(mailing.id, ARM_NAMES[place % len(ARM_NAMES)]),
        "outcome_from": BEFORE_HISTORY,
        "outcome_until": AFTER_HISTORY,
        "organization_wide": True,
    }
    return {"_id": ObjectId(), **build_participant_values(email), "emails": 1}
