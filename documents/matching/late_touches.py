"""Late touches: emails that were sent, opened or clicked before a gift, but reported after it.

The open gifts of their users since then are decided again. The transaction that learns of the touch
marks a few gifts itself (see rematch.py). Marking many would take most of its time, so it inserts
one note of the touches, and the sweep marks the gifts from there. Marking twice changes nothing, so
no transaction is needed. Notes wait briefly for the events that still have to be counted. So a gift
whose donor opens several emails is decided again once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any, TypeVar

from bson import ObjectId
from mongoengine import DateTimeField, DictField, ListField, ObjectIdField, get_db

from documents.concurrency.lease import held
from documents.matching.rematch import MARKED_A_BATCH, OPEN, mailboxes_of, mark
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow, LateTouchesRow
from documents.storage import shutdown
from documents.storage.base import Document
from documents.storage.marks import DUE, due_index
from documents.storage.tenancy import OWNED
from documents.values.time import now
from documents.webhook_delivery import has_events_to_count
from matchback.engine import Changes, Tx

T = TypeVar("T")

FEW = 100
PATIENCE = timedelta(seconds=10)
NOTES_AT_ONCE = 10
MAILBOXES_A_QUERY = 1000
TOUCHES = ("sent_at", "first_opened_at", "first_clicked_at")
FIELDS = {"fundraiser_id": 1, "donor_mailbox": 1, "donated_at": 1}

Whose = tuple[ObjectId, ObjectId]  # an email's fundraiser and user
Where = tuple[ObjectId, str]  # a gift's fundraiser and its donor's mailbox
Touches = Mapping[Whose, datetime]  # since when


class LateTouches(Document):
    """What one transaction learned: of whose gifts, and since when, the match may change."""

    organization_id = ObjectIdField(required=True)
    due = DateTimeField(required=True)
    touches = ListField(DictField())

    meta = {
        "collection": "late_touches",
        "indexes": [due_index(), due_index("organization_id")],
        **OWNED,
    }


def gifts_of_new(tx: Tx, emails: Iterable[EmailRow]) -> None:
    """Let gifts look again that an email which is new may have led to."""
    live = [email for email in emails if not email.get("deleted_at")]
    _look_again(tx, [(email, at) for email in live if (at := email.get("sent_at"))])


def gifts_of_touched(tx: Tx, changes: Changes) -> None:
    """Let gifts look again that came after an email was, as is now known, touched."""
    touched: list[tuple[Any, datetime]] = []
    for email in changes.targets.get("emails", ()):
        update = changes.update_of("emails", email["_id"]).operators
        moved = [at for name in TOUCHES if (at := _moved(email.get(name), update, name))]
        if moved:
            touched.append((email, min(moved)))
    _look_again(tx, touched)


def _moved(was: datetime | None, update: Mapping[str, Any], name: str) -> datetime | None:
    """From when on a first time that is being written makes a difference; None when it does not."""
    first = update.get("$min", {}).get(name)
    if first is not None:
        return first if was is None or first < was else None
    if name in update.get("$set", {}):
        new = update["$set"][name]
        return None if new == was else min(filter(None, (new, was)))
    return was if name in update.get("$unset", {}) else None


def _look_again(tx: Tx, touched: Iterable[tuple[EmailRow, datetime]]) -> None:
    by_organization: defaultdict[ObjectId, dict[Whose, datetime]] = defaultdict(dict)
    for email, at in touched:
        whose = email["fundraiser_id"], email["user_id"]
        _add(by_organization[email["organization_id"]], whose, at)
    for organization_id, touches in by_organization.items():
        _mark_or_note(tx, organization_id, touches)


def _mark_or_note(tx: Tx, organization_id: ObjectId, touches: Touches) -> None:
    """Events are many and gifts so late are few or none: these are looked at first, and only when
    they are too many, those of the users."""
    gifts = list(
        tx.database.donations.find(_late(touches), FIELDS, session=tx.session).limit(FEW + 1)
    )
    if not gifts:
        return
    since = _by_mailbox(tx, touches)
    if len(gifts) > FEW:
        query = _late_from(organization_id, {mailbox for _, mailbox in since}, touches)
        gifts = list(tx.database.donations.find(query, FIELDS, session=tx.session).limit(FEW + 1))
    if len(gifts) > FEW:
        note = _note(organization_id, touches)
        tx.database.late_touches.insert_one(note, session=tx.session)
        return
    mark(tx, [gift["_id"] for gift in gifts if _is_late(gift, since)])


def _note(organization_id: ObjectId, touches: Touches) -> dict[str, Any]:
    told = [
        {"fundraiser_id": fundraiser_id, "user_id": user_id, "since": since}
        for (fundraiser_id, user_id), since in touches.items()
    ]
    return {"organization_id": organization_id, "due": now(), "touches": told}


def follow(organization_id: ObjectId) -> set[ObjectId]:
    """Mark the gifts of noted touches, unless another worker does.

    Returns the fundraisers that have marked gifts.
    """
    fundraisers: set[ObjectId] = set()
    with held(f"late touches:{organization_id}") as holding:
        while holding and not (holding.is_lost() or shutdown.has_begun()):
            if not (notes := _next(organization_id)):
                break
            fundraisers |= _follow(organization_id, notes)
    return fundraisers


def _next(organization_id: ObjectId) -> list[LateTouchesRow]:
    """Some notes; none while they may wait for events."""
    of = {"organization_id": organization_id, **DUE}
    notes = list(get_db().late_touches.find(of).sort("due", 1).limit(NOTES_AT_ONCE))
    is_young = bool(notes) and notes[0]["due"] > now() - PATIENCE
    return [] if is_young and has_events_to_count(organization_id) else notes


def _follow(organization_id: ObjectId, notes: Sequence[LateTouchesRow]) -> set[ObjectId]:
    touches: dict[Whose, datetime] = {}
    for touch in chain.from_iterable(note["touches"] for note in notes):
        _add(touches, (touch["fundraiser_id"], touch["user_id"]), touch["since"])
    tx = Tx(get_db())
    since = _by_mailbox(tx, touches)
    mailboxes = sorted({mailbox for _, mailbox in since})
    fundraisers: set[ObjectId] = set()
    for start in range(0, len(mailboxes), MAILBOXES_A_QUERY):
        some = mailboxes[start : start + MAILBOXES_A_QUERY]
        found = tx.database.donations.find(_late_from(organization_id, some, touches), FIELDS)
        late = (gift for gift in found if _is_late(gift, since))
        while gifts := list(islice(late, MARKED_A_BATCH)):
            mark(tx, [gift["_id"] for gift in gifts])
            fundraisers |= {gift["fundraiser_id"] for gift in gifts}
    tx.database.late_touches.delete_many({"_id": {"$in": [note["_id"] for note in notes]}})
    return fundraisers


def _late(touches: Touches) -> dict[str, Any]:
    """What open gifts to these fundraisers, made since the first of the touches, are found by."""
    fundraiser_ids = list({fundraiser_id for fundraiser_id, _ in touches})
    since = min(touches.values())
    return {"fundraiser_id": {"$in": fundraiser_ids}, "donated_at": {"$gte": since}, **OPEN}


def _late_from(
    organization_id: ObjectId, mailboxes: Iterable[str], touches: Touches
) -> dict[str, Any]:
    """The same, of those from these mailboxes."""
    return {
        "organization_id": organization_id,
        "donor_mailbox": {"$in": sorted(mailboxes)},
        **_late(touches),
    }


def _by_mailbox(tx: Tx, touches: Touches) -> dict[Where, datetime]:
    """Since when gifts from which mailboxes, to which fundraiser, are late."""
    wanted = {"_id": {"$in": list({user_id for _, user_id in touches})}}
    fields = {"mailbox": 1, "former_mailboxes": 1}
    users = {row["_id"]: row for row in tx.database.users.find(wanted, fields, session=tx.session)}
    since: dict[Where, datetime] = {}
    for (fundraiser_id, user_id), at in touches.items():
        for mailbox in mailboxes_of(users.get(user_id, {})):
            _add(since, (fundraiser_id, mailbox), at)
    return since


def _is_late(gift: DonationRow, since: Mapping[Where, datetime]) -> bool:
    start = since.get((gift["fundraiser_id"], gift.get("donor_mailbox", "")))
    return start is not None and gift["donated_at"] >= start


def _add(since: dict[T, datetime], which: T, at: datetime) -> None:
    since[which] = min(at, since.get(which, at))
