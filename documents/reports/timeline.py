"""One person's time line, a page at a time: emails to them, what they did, and what they gave.

The dashboard's person page shows it. A page continues where the last page ended, and merges emails,
events and gifts. A place is a time, a source and an ID. So a page neither loses nor repeats entries
of the same second, even if others are added meanwhile.
"""

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
from documents.providers.sendgrid import IDENTITY_BYTES
from documents.storage.pagination import BadCursor, decode_cursor, encode_cursor
from documents.user import User
from matchback.engine import Row

MOST_EMAILS = 1000  # of a person, the latest: with their events, they are read for each page
MADE_FOR = "timeline"
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
# Of one moment, what is told first has the highest number.
EMAIL, EVENT, GIFT = range(3)
ID_BYTES = {EMAIL: 12, EVENT: IDENTITY_BYTES, GIFT: 12}


@dataclass(frozen=True)
class SentEmail:
    """An email went out. `mailing` is its mailing's name; None when it is of none."""

    kind: ClassVar[str] = "email"
    key: str
    at: datetime
    email_id: ObjectId
    fundraiser_id: ObjectId
    mailing_id: ObjectId | None
    mailing: str | None


@dataclass(frozen=True)
class ToldEvent:
    """SendGrid told of an email. `type`, `bounce_type` and `group` are in its words."""

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
class Gift:
    """They gave. Amounts are in minor units; email and mailing are what it was matched to."""

    kind: ClassVar[str] = "gift"
    key: str
    at: datetime
    gift_id: ObjectId
    fundraiser_id: ObjectId
    amount: int
    currency: str
    refunded_amount: int
    status: str
    match: str | None  # None until it is decided
    email_id: ObjectId | None
    mailing_id: ObjectId | None
    mailing: str | None
    decision: dict[str, Any] | None


Entry = SentEmail | ToldEvent | Gift


@dataclass(frozen=True)
class TimelinePage:
    """Some entries, the newest first, and the cursor of the next page, or None on the last."""

    entries: list[Entry]
    next_cursor: str | None


class Place(NamedTuple):
    """Where in a time line; the next page has what is less."""

    at: datetime
    source: int
    id: bytes


def timeline(user: User, *, limit: int = 50, cursor: str | None = None) -> TimelinePage:
    """One page of a person's time line.

    Raises:
        BadCursor: the cursor is of another person's, or none of ours.
    """
    after = _read(cursor, user) if cursor is not None else None
    emails = _emails(user)
    found = [
        *_sent(emails, after),
        *_places(EVENT, "at", _events(user, emails, after).limit(limit + 1)),
        *_places(GIFT, "donated_at", _gifts(user, after).limit(limit + 1)),
    ]
    found.sort(key=itemgetter(0), reverse=True)
    end = (
        encode_cursor([MADE_FOR, _tell(found[limit - 1][0]), user.id])
        if len(found) > limit
        else None
    )
    return TimelinePage(_entries(user, found[:limit], emails), end)


def _emails(user: User) -> dict[ObjectId, Row]:
    """The latest emails to a person. Hinted: by id alone, all of the organization's are read."""
    query = {"organization_id": user.organization_id, "user_id": user.id, "deleted_at": None}
    found = Email.objects(__raw__=query).hint("user_id_1_fundraiser_id_1_sent_at_1")
    read = found.only("sent_at", "mailing_id", "fundraiser_id").order_by("-id").limit(MOST_EMAILS)
    return {row["_id"]: row for row in read.as_pymongo()}


def _sent(emails: dict[ObjectId, Row], after: Place | None) -> list[tuple[Place, Row]]:
    sent = _places(EMAIL, "sent_at", [row for row in emails.values() if row.get("sent_at")])
    return [one for one in sent if after is None or one[0] < after]


def _events(user: User, emails: dict[ObjectId, Row], after: Place | None) -> QuerySet:
    of = {"organization_id": user.organization_id, "email_id": {"$in": list(emails)}}
    found = Event.objects(__raw__=of | _beyond(after, EVENT, "at")).order_by("-at", "-id")
    return found.as_pymongo()


def _gifts(user: User, after: Place | None) -> QuerySet:
    of = {"organization_id": user.organization_id, "user_id": user.id, "deleted_at": None}
    found = Donation.objects(__raw__=of | _beyond(after, GIFT, "donated_at"))
    return found.hint("known_user_id_donated_at").order_by("-donated_at", "-id").as_pymongo()


def _beyond(place: Place | None, source: int, at: str) -> Row:
    """The condition on a source for what comes after a place."""
    if place is None:
        return {}
    if source != place.source:
        return {at: {"$lte" if source < place.source else "$lt": place.at}}
    id_: Any = place.id if source == EVENT else ObjectId(place.id)
    return {at: {"$lte": place.at}, "$or": [{at: {"$lt": place.at}}, {"_id": {"$lt": id_}}]}


def _places(source: int, at: str, rows: Any) -> list[tuple[Place, Row]]:
    return [(Place(row[at], source, _bytes(row["_id"])), row) for row in rows]


def _bytes(id_: ObjectId | bytes) -> bytes:
    return id_.binary if isinstance(id_, ObjectId) else bytes(id_)


def _entries(user: User, found: list[tuple[Place, Row]], emails: dict[Any, Row]) -> list[Entry]:
    """The entries, with the names of their mailings."""
    # An event does not know its email's mailing.
    ids = [emails.get(row.get("email_id"), row).get("mailing_id") for _, row in found]
    query = {"organization_id": user.organization_id, "_id": {"$in": [id_ for id_ in ids if id_]}}
    named = Mailing.objects(__raw__=query).only("name").as_pymongo() if any(ids) else ()
    names = {mailing["_id"]: mailing["name"] for mailing in named}
    return [
        _entry(place, row, {"at": place.at, "mailing_id": id_, "mailing": names.get(id_)})
        for (place, row), id_ in zip(found, ids, strict=True)
    ]


def _entry(place: Place, row: Row, of: Row) -> Entry:
    key = f"{place.source}-{place.id.hex()}"
    if place.source == EMAIL:
        return SentEmail(key, email_id=row["_id"], fundraiser_id=row["fundraiser_id"], **of)
    if place.source == EVENT:
        names = ("type", "email_id", "url", "machine_reason", "bounce_type", "group")
        told: Row = {name: row.get(name) for name in names}
        return ToldEvent(key, machine=bool(row.get("machine")), **told, **of)
    fields = ("fundraiser_id", "amount", "currency", "status", "match", "email_id", "decision")
    given: Row = {name: row.get(name) for name in fields}
    refunded = row.get("refunded_amount", 0)
    return Gift(key, gift_id=row["_id"], refunded_amount=refunded, **given, **of)


def _tell(place: Place) -> str:
    return f"{(place.at - EPOCH) // MILLISECOND}:{place.source}:{place.id.hex()}"


def _read(cursor: str, user: User) -> Place:
    _, value, user_id = decode_cursor(cursor, MADE_FOR)
    try:
        told, source, id_ = value.split(":")
        place = Place(EPOCH + int(told) * MILLISECOND, int(source), bytes.fromhex(id_))
    except (AttributeError, ValueError, OverflowError):
        raise BadCursor from None
    if user_id != user.id or len(place.id) != ID_BYTES.get(place.source):
        raise BadCursor
    return place
