"""Pages of a mailing's recipients and their actions, for the dashboard's mailing page.

A page reads emails newest first. A search reads users in the order of their words and then reads
their emails, unless the filter matches few emails. The cost of a page is limited, because rare
actions have an index and each search reads a limited number of records.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from bson import ObjectId
from mongoengine import QuerySet

from documents.conditions import is_unsubscribed
from documents.email import (
    RECIPIENT_ACTION_FIELDS,
    USER_EMAILS_INDEX,
    build_action_condition,
)
from documents.experiment import make_arm_id, read_arm_name
from documents.mailing import Mailing
from documents.people.search_words import (
    FIRST_RECIPIENT_PLACE,
    MAX_SEARCH_WORDS,
    RecipientPlace,
    build_word_condition,
    find_met_word,
    matches_terms,
    parse_terms,
    read_place,
)
from documents.reports.mailing_emails import list_newest_emails, query_mailing
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.storage.marks import build_text_condition
from documents.storage.pagination import decode_cursor, encode_cursor
from documents.storage.personal_data import check_search, show_address, show_name
from documents.user import User

RecipientAction = Literal["opened", "clicked", "gave", "bounced", "left"]
USER_WORDS_INDEX_NAME = "words"
RECIPIENTS_PER_READ = 400
# The limit for one page. A page reads at most this many users, or twice as many emails.
MAX_INSPECTED_PEOPLE = 2000
# Up to this number, reading all emails is faster than reading all users with a search word.
MAX_EMAILS_READ_WHOLE = 200
ADDRESSEE_FIELDS = ("name", "email", "words")


@dataclass(frozen=True)
class Addressee:
    """The user to whom an email was sent."""

    id: ObjectId
    name: str
    email: str


@dataclass(frozen=True)
class Recipient:
    """One email of the mailing.

    Attributes:
        user: the addressee, or None after erasure.
        opens: opens by people, not by machines.
        clicks: clicks by people, not by machines.
    """

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
    arm_id: str | None = None

    @property
    def arm(self) -> str | None:
        """Name of the arm, if the mailing has an experiment."""
        return read_arm_name(self.arm_id) if self.arm_id else None


FoundRecipient = tuple[RecipientPlace, Recipient]
# The recipients, and the place at which to continue, or None at the end.
RecipientBatch = tuple[list[FoundRecipient], RecipientPlace | None]
RECIPIENT_EMAIL_FIELDS = [
    one.name for one in fields(Recipient) if one.name not in {"user", "email_id"}
]
READ_EMAIL_FIELDS = ["user_id", "left", "back", *RECIPIENT_EMAIL_FIELDS]


@dataclass(frozen=True)
class RecipientPage:
    """One page of recipients.

    Attributes:
        next_cursor: the cursor of the next page, or None on the last page.
        is_partial: whether the page reached its read limit. The next page continues from there.
    """

    rows: list[Recipient]
    next_cursor: str | None
    is_partial: bool = False


def list_recipients(
    mailing: Mailing,
    *,
    did: RecipientAction | None = None,
    search: str = "",
    arm: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> RecipientPage:
    """Return one page of a mailing's recipients.

    The order is newest first. A search in a large mailing orders recipients by their words.

    Args:
        did: the action that recipients must have taken. `bounced` includes dropped emails. `left`
            includes spam reports, and excludes recipients who subscribed again.
        search: prefixes of words in names and addresses. All prefixes must match.
        arm: arm of the mailing's experiment. None for all arms.

    Raises:
        InvalidCursor: the cursor is malformed, or belongs to another mailing, filter or search.
        Unacceptable: there is a search, and names and addresses are hidden.
    """
    check_search(search)
    asked = parse_terms(search)
    if len(asked) > MAX_SEARCH_WORDS:
        return RecipientPage([], None)  # No recipient has so many words.
    told = repr([mailing.id, did, asked, arm]).encode()
    made_for = hashlib.blake2b(told, digest_size=8).hexdigest()
    reading = _Reading(mailing, did, asked, make_arm_id(mailing.id, arm) if arm else None)
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


def list_all_recipients(
    mailing: Mailing,
    *,
    did: RecipientAction | None = None,
    search: str = "",
    arm: str | None = None,
) -> Iterator[list[Recipient]]:
    """Yield all recipients of a mailing in pages; see `list_recipients`."""
    cursor: str | None = None
    limit = RECIPIENTS_PER_READ
    while True:
        page = list_recipients(mailing, did=did, search=search, arm=arm, limit=limit, cursor=cursor)
        yield page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


@dataclass(frozen=True)
class _Reading:
    """A reader that continues from a place among a mailing's emails or among users with a word."""

    mailing: Mailing
    did: RecipientAction | None
    asked: list[str]
    arm_id: str | None

    def begin(self) -> RecipientPlace:
        """Return the place before the first email or the first user with the rarest term."""
        if (
            not self.asked
            or self._newest(FIRST_RECIPIENT_PLACE, MAX_EMAILS_READ_WHOLE + 1)[1] is None
        ):
            return FIRST_RECIPIENT_PLACE
        lead = self.asked[0] if len(self.asked) == 1 else min(self.asked[:3], key=self._count)
        return FIRST_RECIPIENT_PLACE._replace(lead=lead)

    def read(
        self, place: RecipientPlace, limit: int
    ) -> tuple[list[FoundRecipient], RecipientPlace | None]:
        """Read until more than `limit` recipients match or the read limit is reached.

        Return the recipients, and the place at which to continue.
        """
        found: list[FoundRecipient] = []
        looked_at, number, read = 0, limit + 2, self._by_word if place.lead else self._by_email
        while True:
            here, end = read(place, number)
            found += here
            looked_at += number
            if end is None or len(found) > limit or looked_at >= MAX_INSPECTED_PEOPLE:
                return found, end
            place, number = end, min(2 * number, RECIPIENTS_PER_READ)

    def _by_email(self, place: RecipientPlace, number: int) -> RecipientBatch:
        rows, edge = self._newest(place, number)
        query = {"_id": {"$in": [row["user_id"] for row in rows]}, "deleted_at": None}
        users = {user["_id"]: user for user in self._users(query)}
        found = [
            (FIRST_RECIPIENT_PLACE._replace(email_id=row["_id"]), _recipient(row, user))
            for row in rows
            if self._is_meant(row, user := users.get(row["user_id"], {}))
        ]
        return found, FIRST_RECIPIENT_PLACE._replace(email_id=edge) if edge else None

    def _by_word(self, place: RecipientPlace, number: int) -> RecipientBatch:
        people = self._people(place, number)
        # The index returns a user at each word with the prefix. Keep only the first occurrence.
        meant = {
            user["_id"]: (at, user)
            for at, user in people
            if matches_terms(user["words"], self.asked)
            and find_met_word(user["words"], at.lead) == at.word
        }
        query: dict[str, Any] = {
            "user_id": {"$in": list(meant)},
            "fundraiser_id": self.mailing.fundraiser_id,
        }
        if self.did:
            query["$or"] = [
                build_action_condition(name) for name in RECIPIENT_ACTION_FIELDS[self.did]
            ]
        if self.arm_id:
            query["arm_id"] = self.arm_id
        found_emails = query_mailing(self.mailing, query, USER_EMAILS_INDEX, READ_EMAIL_FIELDS)
        emails = sorted(found_emails, key=lambda row: row["_id"], reverse=True)
        order = {id_: number for number, id_ in enumerate(meant)}
        found = []
        for row in sorted(emails, key=lambda row: order[row["user_id"]]):
            at, user = meant[row["user_id"]]
            at = at._replace(email_id=row["_id"])
            if self._is_meant(row, user) and not place.covers(at):
                found.append((at, _recipient(row, user)))
        return found, people[-1][0] if len(people) == number else None

    def _people(self, place: RecipientPlace, number: int) -> list[tuple[RecipientPlace, UserRow]]:
        """Return the next users with a word that starts with `lead`, each with its place.

        A hint makes MongoDB return the users in the order of the index. A sort would read all users
        with the prefix. A sort would also place each user by the user's smallest word, even if that
        word does not match.
        """
        lead, after = place.lead, place.word
        same = {"words": build_text_condition(eq=after), "_id": {"$gte": place.user_id}}
        here = (
            self._users(same, USER_WORDS_INDEX_NAME).order_by("id").limit(number) if after else ()
        )
        people = [(RecipientPlace(lead, after, user["_id"]), user) for user in here]
        if rest := number - len(people):
            beyond = self._users(
                {"words": build_text_condition(elemMatch=build_word_condition(lead, after))},
                USER_WORDS_INDEX_NAME,
            )
            for user in beyond.limit(rest):
                people.append(
                    (
                        RecipientPlace(
                            lead, find_met_word(user["words"], lead, after), user["_id"]
                        ),
                        user,
                    )
                )
        return people

    def _count(self, term: str) -> int:
        found = self._users(
            {"words": build_text_condition(elemMatch=build_word_condition(term))},
            USER_WORDS_INDEX_NAME,
        )
        return int(found.limit(MAX_INSPECTED_PEOPLE).count(with_limit_and_skip=True))

    def _is_meant(self, email: EmailRow, user: UserRow) -> bool:
        """Return whether the recipient matches the filter and the search.

        As in reports, a recipient who subscribed again has not left.
        """
        if self.did == "left" and not (is_unsubscribed(email) or email.get("spam_reported_at")):
            return False
        return matches_terms(user.get("words", ()), self.asked)

    def _newest(self, place: RecipientPlace, number: int) -> tuple[list[EmailRow], ObjectId | None]:
        asked = self.mailing, self.did, place.email_id, number
        return list_newest_emails(*asked, fields=READ_EMAIL_FIELDS, arm_id=self.arm_id)

    def _users(self, query: dict[str, Any], index: Any = -1) -> QuerySet:
        of = {"organization_id": self.mailing.organization_id}
        return User.objects(__raw__=of | query).hint(index).only(*ADDRESSEE_FIELDS).as_pymongo()


def _addressee(user: UserRow) -> Addressee:
    id_ = user["_id"]
    return Addressee(id_, show_name(user["name"], id_), show_address(user["email"]))


def _recipient(email: EmailRow, user: UserRow) -> Recipient:
    addressee = _addressee(user) if user else None
    known: Mapping[str, Any] = email
    told = {name: known[name] for name in RECIPIENT_EMAIL_FIELDS if name in known}
    return Recipient(addressee, email["_id"], **told)
