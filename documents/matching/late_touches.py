"""Late touches: emails that were sent, opened or clicked before a gift, but reported after it.

A late touch can change the match of the user's later open gifts, so workers decide them again. A
late bounce can as well, because the email no longer counts as sent. The transaction that stores the
touch marks up to 100 gifts itself (see rematch.py). For more gifts it inserts one note, because
marking them would take too long. The sweep then marks the gifts of the note. The sweep needs no
transaction, because marking a gift twice has no effect. A note waits up to 10 seconds for events
that are not counted yet. So a gift is decided again only once if its donor opens several emails.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any, TypeVar

from bson import ObjectId
from mongoengine import DateTimeField, DictField, ListField, ObjectIdField, get_db

from documents.concurrency.lease import hold_lease
from documents.conditions import is_mailed
from documents.match import has_all_matches
from documents.matching.changed_touches import find_affected_since
from documents.matching.rematch import (
    MARKED_GIFTS_PER_BATCH,
    OPEN_GIFTS_FILTER,
    OPEN_MATCHES,
    list_user_mailboxes,
    mark_for_rematch,
)
from documents.outcomes.late_emails import mark_gifts_of_participants
from documents.outcomes.windows import mark_emails_of_moved
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow, LateTouchesRow
from documents.storage import shutdown
from documents.storage.base import Document
from documents.storage.marks import DUE_FILTER, due_index
from documents.storage.tenancy import OWNED_META
from documents.values.time import now
from documents.webhook_delivery import has_due_events
from matchback.engine import Changes, Tx

T = TypeVar("T")

DUE_GIFTS_INDEX = "due_fundraiser_id"
MAX_DIRECTLY_MARKED_GIFTS = 100
MAX_NOTE_WAIT = timedelta(seconds=10)
NOTES_PER_BATCH = 10
MAILBOXES_PER_QUERY = 1000
LATE_GIFT_FIELDS = {"fundraiser_id": 1, "donor_mailbox": 1, "donated_at": 1}

EmailRecipient = tuple[ObjectId, ObjectId]  # an email's fundraiser and user
GiftOrigin = tuple[ObjectId, str]  # a gift's fundraiser and its donor's mailbox
TouchTimes = Mapping[EmailRecipient, datetime]  # the earliest touch of each recipient


class LateTouches(Document):
    """The late touches of one transaction: each recipient, with the time of the first touch."""

    organization_id = ObjectIdField(required=True)
    due = DateTimeField(required=True)
    touches = ListField(DictField())
    participants = ListField(ObjectIdField(), default=None)  # see outcomes/late_emails.py
    moved_mailing_id = ObjectIdField()  # see outcomes/windows.py

    meta = {
        "collection": "late_touches",
        "indexes": [due_index(), due_index("organization_id")],
        **OWNED_META,
    }


def mark_gifts_of_new(tx: Tx, emails: Iterable[EmailRow]) -> None:
    """Mark for rematch the gifts that new emails can match."""
    live = [email for email in emails if is_mailed(email) and not email.get("deleted_at")]
    _look_again(tx, [(email, at) for email in live if (at := email.get("sent_at"))])


def mark_gifts_of_touched(tx: Tx, changes: Changes) -> None:
    """Mark for rematch the gifts since each touch that the transaction adds or changes."""
    touched: list[tuple[Any, datetime]] = []
    for email in changes.targets.get("emails", ()):
        update = changes.update_of("emails", email["_id"]).operators
        if is_mailed(email) and (since := find_affected_since(email, update)):
            touched.append((email, since))
    _look_again(tx, touched)


def _look_again(tx: Tx, touched: Iterable[tuple[EmailRow, datetime]]) -> None:
    by_organization: defaultdict[ObjectId, dict[EmailRecipient, datetime]] = defaultdict(dict)
    for email, at in touched:
        whose = email["fundraiser_id"], email["user_id"]
        _add(by_organization[email["organization_id"]], whose, at)
    for organization_id, touches in by_organization.items():
        _mark_or_note(tx, organization_id, touches)


def _mark_or_note(tx: Tx, organization_id: ObjectId, touches: TouchTimes) -> None:
    """Mark the affected gifts, or insert a note if there are too many.

    Most touches affect few gifts. So the first query reads all late gifts of the fundraisers. Only
    if that finds too many does a second query narrow them to the users' mailboxes.
    """
    gifts = _find_late(tx, touches)
    if gifts == []:
        return
    since = _by_mailbox(tx, touches)
    if gifts is None:
        query = _late_from(organization_id, {mailbox for _, mailbox in since}, touches)
        gifts = _read_late(tx, query)
    if gifts is None:
        note = _note(organization_id, touches)
        tx.database.late_touches.insert_one(note, session=tx.session)
        return
    mark_for_rematch(tx, [gift["_id"] for gift in gifts if _is_late(gift, since)])


def _find_late(tx: Tx, touches: TouchTimes) -> list[DonationRow] | None:
    """Return the late gifts of the fundraisers, or None if there are too many to mark directly.

    An undecided gift has no match record. It is due, and the query must find it, because the mark
    makes a concurrent transaction that decides it start again.
    """
    late = _late(touches)
    if not has_all_matches():
        return _read_late(tx, late)
    undecided = _read_late(tx, {**late, "match": None, **DUE_FILTER}, DUE_GIFTS_INDEX)
    if undecided is None:
        return None
    matched = {**late, "match": {"$in": OPEN_MATCHES}}
    del matched["decision.rule"]  # the match records do not have it
    records = _read_few(tx, "matches", matched, {"_id": 1})
    if records is None:
        return None
    decided = _read_late(tx, {**late, "_id": {"$in": [row["_id"] for row in records]}}) or []
    gifts = undecided + decided
    return gifts if len(gifts) <= MAX_DIRECTLY_MARKED_GIFTS else None


def _read_late(
    tx: Tx, query: Mapping[str, Any], index: str | None = None
) -> list[DonationRow] | None:
    return _read_few(tx, "donations", query, LATE_GIFT_FIELDS, index)


def _read_few(
    tx: Tx, name: str, query: Mapping[str, Any], fields: Mapping[str, int], index: Any = None
) -> list[Any] | None:
    """Return the rows that match a query, or None if there are too many to mark directly."""
    most = MAX_DIRECTLY_MARKED_GIFTS + 1
    found = tx.database[name].find(
        query, fields, limit=most, batch_size=most, hint=index, session=tx.session
    )
    rows = list(found)
    return rows if len(rows) < most else None


def _note(organization_id: ObjectId, touches: TouchTimes) -> dict[str, Any]:
    told = [
        {"fundraiser_id": fundraiser_id, "user_id": user_id, "since": since}
        for (fundraiser_id, user_id), since in touches.items()
    ]
    return {"organization_id": organization_id, "due": now(), "touches": told}


def mark_gifts_of_notes(organization_id: ObjectId) -> set[ObjectId]:
    """Mark the gifts of noted touches, unless another worker holds the lease.

    Return the fundraisers whose gifts were marked.
    """
    fundraisers: set[ObjectId] = set()
    with hold_lease(f"late touches:{organization_id}") as holding:
        while holding and not (holding.is_lost() or shutdown.has_begun()):
            if not (notes := _next(organization_id)):
                break
            fundraisers |= _follow(organization_id, notes)
    return fundraisers


def _next(organization_id: ObjectId) -> list[LateTouchesRow]:
    """Return the oldest notes, or an empty list while they wait for events to be counted."""
    of = {"organization_id": organization_id, **DUE_FILTER}
    notes = list(get_db().late_touches.find(of).sort("due", 1).limit(NOTES_PER_BATCH))
    is_young = bool(notes) and notes[0]["due"] > now() - MAX_NOTE_WAIT
    return [] if is_young and has_due_events(organization_id) else notes


def _follow(organization_id: ObjectId, notes: Sequence[LateTouchesRow]) -> set[ObjectId]:
    touches: dict[EmailRecipient, datetime] = {}
    for touch in chain.from_iterable(note.get("touches", ()) for note in notes):
        _add(touches, (touch["fundraiser_id"], touch["user_id"]), touch["since"])
    tx = Tx(get_db())
    fundraisers = _mark_gifts(tx, organization_id, touches) if touches else set()
    for note in notes:
        fundraisers |= mark_gifts_of_participants(tx, note.get("participants", ()))
        if mailing_id := note.get("moved_mailing_id"):
            fundraisers |= mark_emails_of_moved(mailing_id)
    tx.database.late_touches.delete_many({"_id": {"$in": [note["_id"] for note in notes]}})
    return fundraisers


def _mark_gifts(tx: Tx, organization_id: ObjectId, touches: TouchTimes) -> set[ObjectId]:
    since = _by_mailbox(tx, touches)
    mailboxes = sorted({mailbox for _, mailbox in since})
    fundraisers: set[ObjectId] = set()
    for start in range(0, len(mailboxes), MAILBOXES_PER_QUERY):
        some = mailboxes[start : start + MAILBOXES_PER_QUERY]
        found = tx.database.donations.find(
            _late_from(organization_id, some, touches), LATE_GIFT_FIELDS
        )
        late = (gift for gift in found if _is_late(gift, since))
        while gifts := list(islice(late, MARKED_GIFTS_PER_BATCH)):
            mark_for_rematch(tx, [gift["_id"] for gift in gifts])
            fundraisers |= {gift["fundraiser_id"] for gift in gifts}
    return fundraisers


def _late(touches: TouchTimes) -> dict[str, Any]:
    """Return the query for open gifts to these fundraisers since the earliest touch."""
    fundraiser_ids = list({fundraiser_id for fundraiser_id, _ in touches})
    since = min(touches.values())
    return {
        "fundraiser_id": {"$in": fundraiser_ids},
        "donated_at": {"$gte": since},
        **OPEN_GIFTS_FILTER,
    }


def _late_from(
    organization_id: ObjectId, mailboxes: Iterable[str], touches: TouchTimes
) -> dict[str, Any]:
    """Return the query for open gifts since the earliest touch, from these mailboxes only."""
    return {
        "organization_id": organization_id,
        "donor_mailbox": {"$in": sorted(mailboxes)},
        **_late(touches),
    }


def _by_mailbox(tx: Tx, touches: TouchTimes) -> dict[GiftOrigin, datetime]:
    """Return the earliest touch by fundraiser and mailbox, for all mailboxes of the users."""
    wanted = {"_id": {"$in": list({user_id for _, user_id in touches})}}
    fields = {"mailbox": 1, "former_mailboxes": 1}
    users = {row["_id"]: row for row in tx.database.users.find(wanted, fields, session=tx.session)}
    since: dict[GiftOrigin, datetime] = {}
    for (fundraiser_id, user_id), at in touches.items():
        for mailbox in list_user_mailboxes(users.get(user_id, {})):
            _add(since, (fundraiser_id, mailbox), at)
    return since


def _is_late(gift: DonationRow, since: Mapping[GiftOrigin, datetime]) -> bool:
    start = since.get((gift["fundraiser_id"], gift.get("donor_mailbox", "")))
    return start is not None and gift["donated_at"] >= start


def _add(since: dict[T, datetime], which: T, at: datetime) -> None:
    since[which] = min(at, since.get(which, at))
