"""A user's timeline for the dashboard: pages of emails, events and gifts, newest first.

A page merges the three sources and continues where the previous page ended. A place consists of a
time, a source and an ID. So pages neither skip nor repeat entries of the same second, even if new
entries arrive between two pages.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

from bson import ObjectId
from mongoengine import QuerySet

from documents.donation import Donation
from documents.email import Email
from documents.event import Event
from documents.mailing import Mailing
from documents.match import Match, has_all_matches
from documents.providers.report import EVENT_KEY_BYTES
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.storage.former_match import read_match
from documents.storage.pagination import InvalidCursor, decode_cursor, encode_cursor
from documents.storage.personal_data import show_url
from documents.user import User

# The latest emails of a user. Each page reads all of them to find their events.
MAX_TIMELINE_EMAILS = 1000
TIMELINE_CURSOR_NAME = "timeline"
UNIX_EPOCH, ONE_MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
# Among entries with the same time, the highest rank comes first.
EMAIL_RANK, EVENT_RANK, GIFT_RANK = range(3)
NEWEST_FIRST: list[Any] = [{"$sort": {"donated_at": -1, "_id": -1}}]
GIFT_OF_MATCH: list[Any] = [
    {"$lookup": {"from": "donations", "localField": "_id", "foreignField": "_id", "as": "gift"}},
    {"$unwind": {"path": "$gift", "preserveNullAndEmptyArrays": True}},
]
ID_BYTES_BY_RANK = {EMAIL_RANK: 12, EVENT_RANK: EVENT_KEY_BYTES, GIFT_RANK: 12}


@dataclass(frozen=True)
class SentEmail:
    """An email that was sent. `mailing` is the name of its mailing, or None without a mailing."""

    kind: ClassVar[str] = "email"
    key: str
    at: datetime
    email_id: ObjectId
    fundraiser_id: ObjectId
    mailing_id: ObjectId | None
    mailing: str | None


@dataclass(frozen=True)
class ReportedEvent:
    """An event of an email. `type`, `bounce_type` and `group` are SendGrid's values."""

    kind: ClassVar[str] = "event"
    key: str
    at: datetime
    type: str
    email_id: ObjectId
    mailing_id: ObjectId | None
    mailing: str | None
    url: str | None
    machine: bool
    machine_reason: str | None
    bounce_type: str | None
    group: str | None


@dataclass(frozen=True)
class GivenGift:
    """A gift of the user. Amounts are in minor units. The match names the email and mailing."""

    kind: ClassVar[str] = "gift"
    key: str
    at: datetime
    gift_id: ObjectId
    fundraiser_id: ObjectId
    amount: int
    currency: str
    refunded_amount: int
    status: str
    match: str | None  # None until a worker decides the gift
    email_id: ObjectId | None
    mailing_id: ObjectId | None
    mailing: str | None


TimelineEntry = SentEmail | ReportedEvent | GivenGift


@dataclass(frozen=True)
class TimelinePage:
    """One page of entries, newest first, and the cursor of the next page, or None on the last."""

    entries: list[TimelineEntry]
    next_cursor: str | None


class TimelinePlace(NamedTuple):
    """A place in a timeline. The next page contains smaller places."""

    at: datetime
    source: int
    id: bytes


Found = tuple[TimelinePlace, Any]  # the place, and the row of an email, an event or a gift


def list_timeline(user: User, *, limit: int = 50, cursor: str | None = None) -> TimelinePage:
    """Return one page of a user's timeline.

    Raises:
        InvalidCursor: the cursor is malformed, or belongs to another user.
    """
    after = _read(cursor, user) if cursor is not None else None
    emails = _emails(user)
    found = [
        *_sent(emails, after),
        *_places(EVENT_RANK, "at", _events(user, emails, after).limit(limit + 1)),
        *_places(GIFT_RANK, "donated_at", _gifts(user, after, limit + 1)),
    ]
    found.sort(key=itemgetter(0), reverse=True)
    end = (
        encode_cursor([TIMELINE_CURSOR_NAME, _tell(found[limit - 1][0]), user.id])
        if len(found) > limit
        else None
    )
    return TimelinePage(_entries(user, found[:limit], emails), end)


def _emails(user: User) -> dict[ObjectId, EmailRow]:
    """Return the latest emails to a user, by ID.

    The hint prevents MongoDB from reading all emails of the organization in order of ID.
    """
    query = {"organization_id": user.organization_id, "user_id": user.id, "deleted_at": None}
    found = Email.objects(__raw__=query).hint("user_id_1_fundraiser_id_1_sent_at_1")
    read = (
        found.only("sent_at", "mailing_id", "fundraiser_id")
        .order_by("-id")
        .limit(MAX_TIMELINE_EMAILS)
    )
    return {row["_id"]: row for row in read.as_pymongo()}


def _sent(emails: dict[ObjectId, EmailRow], after: TimelinePlace | None) -> list[Found]:
    sent = _places(EMAIL_RANK, "sent_at", [row for row in emails.values() if row.get("sent_at")])
    return [one for one in sent if after is None or one[0] < after]


def _events(user: User, emails: dict[ObjectId, EmailRow], after: TimelinePlace | None) -> QuerySet:
    of = {"organization_id": user.organization_id, "email_id": {"$in": list(emails)}}
    found = Event.objects(__raw__=of | _beyond(after, EVENT_RANK, "at")).order_by("-at", "-id")
    return found.as_pymongo()


def _gifts(user: User, after: TimelinePlace | None, number: int) -> list[DonationRow]:
    """Return the user's next gifts, at most this number.

    MongoDB sorts the small match records of the user and reads the first gifts. Another read
    replaces deleted gifts.
    """
    of = {"organization_id": user.organization_id, "user_id": user.id, "deleted_at": None}
    if not has_all_matches():
        found = Donation.objects(__raw__=of | _beyond(after, GIFT_RANK, "donated_at"))
        return list(found.order_by("-donated_at", "-id").limit(number).as_pymongo())
    gifts: list[DonationRow] = []
    while True:
        found = Match.objects(__raw__=_matched(user) | _beyond(after, GIFT_RANK, "donated_at"))
        rows = list(found.aggregate([*NEWEST_FIRST, {"$limit": number}, *GIFT_OF_MATCH]))
        live = (row["gift"] for row in rows if "gift" in row)
        gifts += [gift for gift in live if all(gift.get(name) == of[name] for name in of)]
        if len(gifts) >= number or len(rows) < number:
            return gifts[:number]
        after = TimelinePlace(rows[-1]["donated_at"], GIFT_RANK, _bytes(rows[-1]["_id"]))


def _matched(user: User) -> dict[str, Any]:
    return {"organization_id": user.organization_id, "links": user.id}


def _beyond(place: TimelinePlace | None, source: int, at: str) -> dict[str, Any]:
    """Return the query condition for a source's entries after a place."""
    if place is None:
        return {}
    if source != place.source:
        return {at: {"$lte" if source < place.source else "$lt": place.at}}
    id_: Any = place.id if source == EVENT_RANK else ObjectId(place.id)
    return {at: {"$lte": place.at}, "$or": [{at: {"$lt": place.at}}, {"_id": {"$lt": id_}}]}


def _places(source: int, at: str, rows: Any) -> list[Found]:
    return [(TimelinePlace(row[at], source, _bytes(row["_id"])), row) for row in rows]


def _bytes(id_: ObjectId | bytes) -> bytes:
    return id_.binary if isinstance(id_, ObjectId) else bytes(id_)


def _entries(user: User, found: list[Found], emails: Mapping[Any, Any]) -> list[TimelineEntry]:
    """Build the entries with the names of their mailings."""
    # Look up the mailing of an event through its email, because the event does not store it.
    ids = [emails.get(row.get("email_id"), row).get("mailing_id") for _, row in found]
    query = {"organization_id": user.organization_id, "_id": {"$in": [id_ for id_ in ids if id_]}}
    named = Mailing.objects(__raw__=query).only("name").as_pymongo() if any(ids) else ()
    names = {mailing["_id"]: mailing["name"] for mailing in named}
    return [
        ENTRIES[place.source](_key(place), place.at, row, id_, names.get(id_))
        for (place, row), id_ in zip(found, ids, strict=True)
    ]


def _key(place: TimelinePlace) -> str:
    return f"{place.source}-{place.id.hex()}"


def _email_entry(
    key: str, at: datetime, email: EmailRow, mailing_id: ObjectId | None, mailing: str | None
) -> TimelineEntry:
    return SentEmail(key, at, email["_id"], email["fundraiser_id"], mailing_id, mailing)


def _event_entry(
    key: str, at: datetime, event: EventRow, mailing_id: ObjectId | None, mailing: str | None
) -> TimelineEntry:
    return ReportedEvent(
        key,
        at,
        type=event["type"],
        email_id=event["email_id"],
        mailing_id=mailing_id,
        mailing=mailing,
        url=show_url(event["url"]) if event.get("url") else None,
        machine=bool(event.get("machine")),
        machine_reason=event.get("machine_reason"),
        bounce_type=event.get("bounce_type"),
        group=event.get("group"),
    )


def _gift_entry(
    key: str, at: datetime, gift: DonationRow, mailing_id: ObjectId | None, mailing: str | None
) -> TimelineEntry:
    return GivenGift(
        key,
        at,
        gift_id=gift["_id"],
        fundraiser_id=gift["fundraiser_id"],
        mailing_id=mailing_id,
        mailing=mailing,
        amount=gift["amount"],
        currency=gift["currency"],
        status=gift["status"],
        refunded_amount=gift.get("refunded_amount", 0),
        match=read_match(gift),
        email_id=gift.get("email_id"),
    )


ENTRIES: dict[int, Callable[[str, datetime, Any, ObjectId | None, str | None], TimelineEntry]] = {
    EMAIL_RANK: _email_entry,
    EVENT_RANK: _event_entry,
    GIFT_RANK: _gift_entry,
}


def _tell(place: TimelinePlace) -> str:
    return f"{(place.at - UNIX_EPOCH) // ONE_MILLISECOND}:{place.source}:{place.id.hex()}"


def _read(cursor: str, user: User) -> TimelinePlace:
    _, value, user_id = decode_cursor(cursor, TIMELINE_CURSOR_NAME)
    try:
        told, source, id_ = value.split(":")
        place = TimelinePlace(
            UNIX_EPOCH + int(told) * ONE_MILLISECOND, int(source), bytes.fromhex(id_)
        )
    except (AttributeError, ValueError, OverflowError):
        raise InvalidCursor from None
    if user_id != user.id or len(place.id) != ID_BYTES_BY_RANK.get(place.source):
        raise InvalidCursor
    return place
