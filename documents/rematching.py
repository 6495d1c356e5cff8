"""Which gifts must look again for their email, because something that matching reads has changed.

The gifts are marked in the transaction that settles or changes an email. That is enough whatever
the race: a transaction that decides one of these gifts meanwhile writes it, and the emails that it
considered, so one of the two fails with a write conflict and when it starts again sees what the
other did. Where an address has more gifts than a transaction should mark, its user is marked
instead, and user_changes.py goes through them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.clock import now
from documents.engine.contribution import Row
from documents.engine.settle import Changes

MARKED_A_BATCH = 500
FEW = 100
TOUCHES = ("sent_at", "first_opened_at", "first_clicked_at")
# Neither pinned nor by what the gift itself says: another email might do better.
OPEN: dict[str, Any] = {"match": {"$in": [None, "indirect", "unresolved"]}, "pin": None}


def mailboxes_of(user: Row) -> list[str]:
    """Where mail to a user goes, or went."""
    return [*filter(None, [user.get("mailbox")]), *user.get("former_mailboxes", ())]


def gifts_of_deleted(database: Database, session: ClientSession, emails: Sequence[Row]) -> None:
    """Gifts that were matched to an email that is being deleted.

    A link that was passed on may have brought tens of thousands, more than fit into the life of
    a transaction: when there are more, the emails stay due, and the next batch goes on.
    """
    deleted = {email["_id"]: email for email in emails if email.get("deleted_at")}
    if not deleted:
        return
    query = {"email_id": {"$in": list(deleted)}, "rematch": None}
    found = database.donations.find(query, {"_id": 1}, session=session).limit(MARKED_A_BATCH)
    gifts = [row["_id"] for row in found]
    mark(database, session, gifts)
    if len(gifts) == MARKED_A_BATCH:
        for email in deleted.values():
            del email["due"]  # as read: so settling does not take the mark away


def gifts_of_new(database: Database, session: ClientSession, emails: Sequence[Row]) -> None:
    """Gifts from an address that an email has now been sent to: it may have led to them."""
    since = {email["_id"]: email.get("sent_at") for email in emails if not email.get("deleted_at")}
    _gifts_since(database, session, emails, {id_: at for id_, at in since.items() if at})


def gifts_of_touched(database: Database, session: ClientSession, changes: Changes) -> None:
    """Gifts that came after an email was, as is now known, sent, opened or clicked."""
    emails = changes.rows.get("emails", ())
    since: dict[ObjectId, datetime] = {}
    for email in emails:
        update = changes.updates.get(("emails", email["_id"]), {})
        moved = [at for name in TOUCHES if (at := _moved(email.get(name), update, name))]
        if moved:
            since[email["_id"]] = min(moved)
    _gifts_since(database, session, emails, since)


def _moved(was: datetime | None, update: Mapping[str, Any], name: str) -> datetime | None:
    """From when on a first time that is being written makes a difference; None when it does not."""
    first = update.get("$min", {}).get(name)
    if first is not None:
        return first if was is None or first < was else None
    if name in update.get("$set", {}):
        new = update["$set"][name]
        return None if new == was else min(filter(None, (new, was)))
    return was if name in update.get("$unset", {}) else None


def _gifts_since(
    database: Database,
    session: ClientSession,
    emails: Iterable[Row],
    since: Mapping[ObjectId, datetime],
) -> None:
    """Mark the open gifts from the addresses of these emails, made since then.

    Events are many and gifts so late are few or none: these are looked at first, and only when
    they are too many, those from the addresses of the emails.
    """
    touched = [email for email in emails if email["_id"] in since]
    if not touched:
        return
    fundraiser_ids = list({email["fundraiser_id"] for email in touched})
    late = {
        "fundraiser_id": {"$in": fundraiser_ids},
        "donated_at": {"$gte": min(since.values())},
        **OPEN,
    }
    fields = {"fundraiser_id": 1, "donor_mailbox": 1, "donated_at": 1}
    found = list(database.donations.find(late, fields, session=session).limit(FEW + 1))
    if not found:
        return
    users = _users(database, session, touched)
    by_mailbox: dict[tuple[ObjectId, str], datetime] = {}
    for email in touched:
        for mailbox in mailboxes_of(users.get(email["user_id"], {})):
            key = email["fundraiser_id"], mailbox
            by_mailbox[key] = min(since[email["_id"]], by_mailbox.get(key, since[email["_id"]]))
    if len(found) > FEW:
        theirs = {
            "organization_id": {"$in": list({email["organization_id"] for email in touched})},
            "donor_mailbox": {"$in": sorted({mailbox for _, mailbox in by_mailbox})},
            **late,
        }
        donations = database.donations.find(theirs, fields, session=session)
        found = list(donations.limit(MARKED_A_BATCH + 1))
    if len(found) > MARKED_A_BATCH:
        _leave_to_users(database, session, list(users.values()))
        return
    mark(database, session, [gift["_id"] for gift in found if _is_late(gift, by_mailbox)])


def _is_late(gift: Row, since: Mapping[tuple[ObjectId, str], datetime]) -> bool:
    start = since.get((gift["fundraiser_id"], gift.get("donor_mailbox", "")))
    return start is not None and gift["donated_at"] >= start


def _users(
    database: Database, session: ClientSession, emails: Sequence[Row]
) -> dict[ObjectId, Row]:
    wanted = {"_id": {"$in": list({email["user_id"] for email in emails})}}
    fields = {"mailbox": 1, "former_mailboxes": 1}
    return {row["_id"]: row for row in database.users.find(wanted, fields, session=session)}


def _leave_to_users(database: Database, session: ClientSession, users: list[Row]) -> None:
    due = now()  # one for all: so those who go through them can take them away together
    marks = [
        UpdateOne(
            {"_id": user["_id"]},
            {
                "$set": {"rematch_due": due},
                "$addToSet": {"rematch_mailboxes": {"$each": mailboxes_of(user)}},
            },
        )
        for user in users
    ]
    if marks:
        database.users.bulk_write(marks, ordered=False, session=session)


def mark(database: Database, session: ClientSession | None, gift_ids: Sequence[ObjectId]) -> None:
    """Let these gifts look again for their email when they are settled, which is soon."""
    if gift_ids:
        update = {"$set": {"due": now(), "rematch": True}}
        database.donations.update_many({"_id": {"$in": list(gift_ids)}}, update, session=session)
