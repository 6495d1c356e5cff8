"""Changes of gifts for lists, with the names of the gifts' donors and mailings."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId

from documents.donation import Donation
from documents.fundraiser import Fundraiser
from documents.history.gift_change import GiftChange, SettledChanges
from documents.history.gift_rules import StoredCountedGift
from documents.mailing import Mailing
from documents.reports.explained import build_change_query
from documents.storage.pagination import RecordPage, list_page


@dataclass(frozen=True)
class ChangeLine:
    """A change and what is known of its gift now.

    Attributes:
        gift: None if the gift was deleted.
        mailing_before, mailing_after: names; None without a mailing, or if it was deleted.
    """

    change: GiftChange
    gift: Donation | None
    mailing_before: str | None
    mailing_after: str | None


def list_change_lines(
    fundraiser: Fundraiser, since: datetime, until: datetime, *, limit: int, cursor: str | None
) -> RecordPage:
    """Return a page of the changes after a time, until another time inclusive, oldest first.

    Raises:
        InvalidCursor: this list did not make the cursor.
    """
    found = list_page(
        SettledChanges,
        fundraiser.organization_id,
        filters=build_change_query(fundraiser, since, until),
        sort="at",
        limit=limit,
        cursor=cursor,
    )
    return RecordPage(_describe(fundraiser.organization_id, found.records), found.next_cursor)


def list_all_change_lines(
    fundraiser: Fundraiser, since: datetime, until: datetime, *, limit: int
) -> Iterator[list[ChangeLine]]:
    """Yield all changes between two times in pages."""
    cursor: str | None = None
    while True:
        page = list_change_lines(fundraiser, since, until, limit=limit, cursor=cursor)
        yield page.records
        cursor = page.next_cursor
        if cursor is None:
            return


def _describe(organization_id: ObjectId, changes: list[GiftChange]) -> list[ChangeLine]:
    """Add names to changes. This takes two queries for any number of changes."""
    ids = list({change.donation_id for change in changes})
    gifts = {gift.id: gift for gift in Donation.live(organization_id, id__in=ids)}
    mailing_ids = {_read_mailing(of) for one in changes for of in (one.before, one.after)} - {None}
    mailings = Mailing.live(organization_id, id__in=list(mailing_ids)).only("id", "name")
    names = {mailing.id: mailing.name for mailing in mailings} if mailing_ids else {}
    return [
        ChangeLine(
            change,
            gifts.get(change.donation_id),
            names.get(_read_mailing(change.before)),
            names.get(_read_mailing(change.after)),
        )
        for change in changes
    ]


def _read_mailing(counted: StoredCountedGift | None) -> ObjectId | None:
    return counted.get("mailing_id") if counted else None
