"""Pages of emails with gifts, and pages of emails in the order of their gifts.

Emails with gifts come from the index table. All other emails have no row there, and follow or
precede in the order of their IDs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.index_tables.email_index import EmailIndex
from documents.index_tables.former_layout import is_email_index_filled
from documents.index_tables.user_pages import fetch_in_order
from documents.storage.pagination import (
    RecordPage,
    decode_cursor,
    encode_cursor,
    read_page,
)
from documents.storage.record import Record

# For each email without gifts that a page needs, it reads at most this many emails.
MAX_EMAILS_READ_PER_ROW = 5
Place = tuple[int, ObjectId]  # the number of gifts, and the ID


def list_by_gifts(
    emails: type[Record],
    organization_id: ObjectId,
    *,
    filters: Mapping[str, Any],
    sort: str,
    limit: int,
    cursor: str | None,
) -> RecordPage | None:
    """Return a page of emails; None if the list does not need the index table.

    A filter by user matches few emails, which MongoDB sorts itself.
    """
    is_by_gifts = sort.removeprefix("-") == "donations_count"
    if not (is_by_gifts or filters.get("donated") is True) or "user_id" in filters:
        return None
    if not is_email_index_filled(get_db()):
        return None
    if is_by_gifts:
        return _Reading(emails, organization_id, filters, sort, limit).read(cursor)
    page = read_page(
        EmailIndex, organization_id, filters=filters, sort=sort, limit=limit, cursor=cursor
    )
    return RecordPage(fetch_in_order(emails, organization_id, page.records), page.next_cursor)


@dataclass(frozen=True)
class _Reading:
    """One page in the order of gifts."""

    emails: type[Record]
    organization_id: ObjectId
    filters: Mapping[str, Any]
    sort: str
    limit: int
    known: dict[ObjectId, Any] = field(default_factory=dict)

    @property
    def beyond(self) -> str:
        return "$lt" if self.sort.startswith("-") else "$gt"

    def read(self, cursor: str | None) -> RecordPage:
        """Read both parts in order, from the cursor on."""
        after = None if cursor is None else self._read_place(cursor)
        parts = [self._with_gifts, self._without_gifts]
        if not self.sort.startswith("-"):
            parts.reverse()
        if after is not None and (after[0] > 0) != (parts[0] == self._with_gifts):
            parts.pop(0)
        places: list[Place] = []
        end: Place | None = None
        for part in parts:
            found, end = part(after, self.limit + 1 - len(places))
            places += found
            after = None
            if end or len(places) > self.limit:
                break
        if len(places) > self.limit:
            places = places[: self.limit]
            end = places[-1]
        return RecordPage(
            self._fetch([id_ for _, id_ in places]),
            encode_cursor([self.sort, *end]) if end else None,
        )

    def _read_place(self, cursor: str) -> Place:
        _, gifts, id_ = decode_cursor(cursor, self.sort)
        return (gifts if isinstance(gifts, int) else 0), id_

    def _with_gifts(self, after: Place | None, number: int) -> tuple[list[Place], Place | None]:
        if self.filters.get("donated") is False:
            return [], None
        rest = {name: value for name, value in self.filters.items() if name != "donated"}
        query = {"organization_id": self.organization_id, "donations_count": {"$gt": 0}, **rest}
        if after is not None:
            gifts, id_ = after
            same = {"donations_count": gifts, "_id": {self.beyond: id_}}
            query = {"$and": [query, {"$or": [{"donations_count": {self.beyond: gifts}}, same]}]}
        minus = "-" if self.sort.startswith("-") else ""
        rows = EmailIndex.objects(__raw__=query).order_by(f"{minus}donations_count", f"{minus}id")
        return [(row.donations_count, row.id) for row in rows.limit(number)], None

    def _without_gifts(self, after: Place | None, number: int) -> tuple[list[Place], Place | None]:
        """Return the next emails without gifts. Also return where to continue, if not at the end.

        Skip emails with gifts. If there are many, the page is short.
        """
        places: list[Place] = []
        if self.filters.get("donated") is True:
            return places, None
        for size in (number, (MAX_EMAILS_READ_PER_ROW - 1) * number):
            emails = self._read_emails(after, size)
            for email in emails:
                if not email.donations_count:
                    self.known[email.id] = email
                    places.append((0, email.id))
            if len(emails) < size or len(places) >= number:
                return places[:number], None
            after = 0, emails[-1].id
        return places, after

    def _read_emails(self, after: Place | None, number: int) -> list[Any]:
        where = {} if after is None else {"_id": {self.beyond: after[1]}}
        query = {"organization_id": self.organization_id, "deleted_at": None, **self.filters}
        found = self.emails.objects(__raw__={**query, **where})
        return list(found.order_by("-id" if self.sort.startswith("-") else "id").limit(number))

    def _fetch(self, ids: list[ObjectId]) -> list[Any]:
        missing = [id_ for id_ in ids if id_ not in self.known]
        found = self.emails.live(self.organization_id, id__in=missing) if missing else ()
        known = self.known | {email.id: email for email in found}
        return [known[id_] for id_ in ids if id_ in known]
