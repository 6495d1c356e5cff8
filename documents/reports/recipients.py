"""The recipients of a mailing and what each did, a page at a time: the dashboard's mailing page.

It reads emails newest first. A search reads people in the order of their words and then looks up
their emails, unless its filter matches few emails. Every page costs the same, because rare things
have an index and each search ends at a bound.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from bson import ObjectId
from mongoengine import QuerySet

from documents.conditions import is_unsubscribed
from documents.email import BY_USER, DID, Email, picked
from documents.mailing import Mailing
from documents.people.search_words import (
    FIRST,
    MOST_WORDS,
    Place,
    between,
    fit,
    met,
    read_place,
    terms,
)
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.storage.marks import text
from documents.storage.pagination import decode_cursor, encode_cursor
from documents.user import User

Did = Literal["opened", "clicked", "gave", "bounced", "left"]
BY_WORD = "words"
AT_ONCE = 400
MOST = 2000  # how many people, or twice as many emails, are looked at for one page
FEW = 200  # of so few emails, all are looked at sooner than all whom a word fits
OF_USERS = ("name", "email", "words")


@dataclass(frozen=True)
class Addressee:
    """A user."""

    id: ObjectId
    name: str
    email: str


@dataclass(frozen=True)
class Recipient:
    """One email of the mailing. Opens and clicks are people's; the user is None when erased."""

    user: Addressee | None
    email_id: ObjectId
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    bounced_at: datetime | None = None
    dropped_at: datetime | None = None
    first_opened_at: datetime | None = None
    first_clicked_at: datetime | None = None
    unsubscribed_at: datetime | None = None
    spam_reported_at: datetime | None = None
    opens: int = 0
    clicks: int = 0
    donated: bool = False
    donations_count: int = 0
    raised: dict[str, int] = field(default_factory=dict)  # minor units, by currency


Found = tuple[Place, Recipient]
Batch = tuple[list[Found], Place | None]  # with where to read on, or None at the end
OF_EMAIL = [one.name for one in fields(Recipient) if one.name not in {"user", "email_id"}]
READ = ["user_id", "left", "back", *OF_EMAIL]


@dataclass(frozen=True)
class RecipientPage:
    """Some recipients, and the cursor of the next page, or None on the last.

    is_partial: as many were looked at as may be for one page; the next one goes on.
    """

    rows: list[Recipient]
    next_cursor: str | None
    is_partial: bool = False


def recipients(
    mailing: Mailing,
    *,
    did: Did | None = None,
    search: str = "",
    limit: int = 50,
    cursor: str | None = None,
) -> RecipientPage:
    """One page of a mailing's recipients: the newest first, or in a search of many by their words.

    Args:
        did: only those who opened, clicked or gave; whose email bounced or was dropped; or who
            unsubscribed and did not come back, or reported it as spam.
        search: beginnings of words of their names and addresses, all of which must fit.

    Raises:
        BadCursor: the cursor is of another mailing, filter or search, or none of ours.
    """
    asked = terms(search)
    if len(asked) > MOST_WORDS:
        return RecipientPage([], None)  # they fit nobody
    told = repr([mailing.id, did, asked]).encode()
    made_for = hashlib.blake2b(told, digest_size=8).hexdigest()
    reading = _Reading(mailing, did, asked)
    place = (
        read_place(decode_cursor(cursor, made_for), asked)
        if cursor is not None
        else reading.begin()
    )
    found, end = reading.read(place, limit)
    if is_full := len(found) > limit:
        end = found[limit - 1][0]
    next_cursor = encode_cursor([made_for, end.told, end.email_id]) if end else None
    return RecipientPage([one for _, one in found[:limit]], next_cursor, bool(end) and not is_full)


@dataclass(frozen=True)
class _Reading:
    """Reading on from a place, of a mailing's emails or, when it is at a word, of people."""

    mailing: Mailing
    did: Did | None
    asked: list[str]

    def begin(self) -> Place:
        """Before the first email, or the first person whom the rarest term fits."""
        if not self.asked or self._newest(FIRST, FEW + 1)[1] is None:
            return FIRST
        lead = self.asked[0] if len(self.asked) == 1 else min(self.asked[:3], key=self._count)
        return FIRST._replace(lead=lead)

    def read(self, place: Place, limit: int) -> tuple[list[Found], Place | None]:
        """More than `limit` recipients, or as many as come into sight; and where that ended."""
        found: list[Found] = []
        looked_at, number, read = 0, limit + 2, self._by_word if place.lead else self._by_email
        while True:
            here, end = read(place, number)
            found += here
            looked_at += number
            if end is None or len(found) > limit or looked_at >= MOST:
                return found, end
            place, number = end, min(2 * number, AT_ONCE)

    def _by_email(self, place: Place, number: int) -> Batch:
        rows, edge = self._newest(place, number)
        query = {"_id": {"$in": [row["user_id"] for row in rows]}, "deleted_at": None}
        users = {user["_id"]: user for user in self._users(query)}
        found = [
            (FIRST._replace(email_id=row["_id"]), _recipient(row, user))
            for row in rows
            if self._is_meant(row, user := users.get(row["user_id"], {}))
        ]
        return found, FIRST._replace(email_id=edge) if edge else None

    def _by_word(self, place: Place, number: int) -> Batch:
        people = self._people(place, number)
        # Who has several words that begin alike is met at each of them, and meant at the first.
        meant = {
            user["_id"]: (at, user)
            for at, user in people
            if fit(user["words"], self.asked) and met(user["words"], at.lead) == at.word
        }
        query: dict[str, Any] = {
            "user_id": {"$in": list(meant)},
            "fundraiser_id": self.mailing.fundraiser_id,
        }
        if self.did:
            query["$or"] = [picked(name) for name in DID[self.did]]
        found_emails = Email.of_mailing(self.mailing, query, BY_USER, READ)
        emails = sorted(found_emails, key=lambda row: row["_id"], reverse=True)
        order = {id_: number for number, id_ in enumerate(meant)}
        found = []
        for row in sorted(emails, key=lambda row: order[row["user_id"]]):
            at, user = meant[row["user_id"]]
            at = at._replace(email_id=row["_id"])
            if self._is_meant(row, user) and not place.covers(at):
                found.append((at, _recipient(row, user)))
        return found, people[-1][0] if len(people) == number else None

    def _people(self, place: Place, number: int) -> list[tuple[Place, UserRow]]:
        """The next users with a word that begins with `lead`, each with the place they are met at.

        In the order of the index, by a hint. To sort, MongoDB would read all whom the word fits,
        and put somebody with several words where the least of them is, asked for or not.
        """
        lead, after = place.lead, place.word
        same = {"words": text(eq=after), "_id": {"$gte": place.user_id}}
        here = self._users(same, BY_WORD).order_by("id").limit(number) if after else ()
        people = [(Place(lead, after, user["_id"]), user) for user in here]
        if rest := number - len(people):
            beyond = self._users({"words": text(elemMatch=between(lead, after))}, BY_WORD)
            for user in beyond.limit(rest):
                people.append((Place(lead, met(user["words"], lead, after), user["_id"]), user))
        return people

    def _count(self, term: str) -> int:
        found = self._users({"words": text(elemMatch=between(term))}, BY_WORD)
        return int(found.limit(MOST).count(with_limit_and_skip=True))

    def _is_meant(self, email: EmailRow, user: UserRow) -> bool:
        """Who unsubscribed and came back has not left: reports count likewise."""
        if self.did == "left" and not (is_unsubscribed(email) or email.get("spam_reported_at")):
            return False
        return fit(user.get("words", ()), self.asked)

    def _newest(self, place: Place, number: int) -> tuple[list[EmailRow], ObjectId | None]:
        return Email.newest_of(self.mailing, self.did, place.email_id, number, READ)

    def _users(self, query: dict[str, Any], index: Any = -1) -> QuerySet:
        of = {"organization_id": self.mailing.organization_id}
        return User.objects(__raw__=of | query).hint(index).only(*OF_USERS).as_pymongo()


def _recipient(email: EmailRow, user: UserRow) -> Recipient:
    addressee = Addressee(user["_id"], user["name"], user["email"]) if user else None
    known: Mapping[str, Any] = email
    told = {name: known[name] for name in OF_EMAIL if name in known}
    return Recipient(addressee, email["_id"], **told)
