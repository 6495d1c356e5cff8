"""Late emails: emails of an experiment that were recorded, deleted or moved after a gift.

The transaction that settles such an email creates or changes its participant. It also marks the
gifts whose participants are then wrong, and a worker decides these again. It writes the user,
too. So it conflicts with a transaction that counts a gift of the user without the participant.

If it would mark more than 100 gifts, it stores a note, and the sweep marks them. See
matching/late_touches.py for the notes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, cast

from bson import ObjectId

from documents.arm import build_arm_row
from documents.conditions import is_mailed
from documents.match import find_linked_gifts
from documents.outcomes.assign import LIVE_PARTICIPANT_FILTER
from documents.outcomes.rules import group_by_user, has_wrong_participants
from documents.outcomes.windows import update_windows
from documents.participant import build_participant_values
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.experiment import ParticipantRow
from documents.segments.arm_segment import list_arm_segments
from documents.values.time import now
from matchback.engine import Changes, Tx

MAX_DIRECTLY_MARKED_GIFTS = 100
MARKED_GIFTS_PER_WRITE = 500
GIFT_TIME_INDEX = "organization_id_1_donated_at_1__id_1"
JUDGED_GIFT_FIELDS = dict.fromkeys(("fundraiser_id", "user_id", "donated_at", "participant_ids"), 1)


def follow_experiment_emails(tx: Tx, changes: Changes, emails: Sequence[EmailRow]) -> None:
    """Create or change the participants of emails, and mark the gifts that this affects.

    Args:
        emails: emails to settle, in their new state.
    """
    enrolled = [email for email in emails if email.get("arm_id")]
    if not enrolled:
        return
    update_windows(tx, changes, enrolled)
    live = [email for email in enrolled if not email.get("deleted_at")]
    participants = [{"_id": email["_id"], **build_participant_values(email)} for email in live]
    for email, participant in zip(live, participants, strict=True):
        _enrol(changes, email, participant)
    affected = _Affected(
        cast("list[ParticipantRow]", participants),
        {one["_id"] for one in enrolled if one.get("counted")},
    )
    wrong = list(islice(affected.find_gifts(tx), MAX_DIRECTLY_MARKED_GIFTS + 1))
    if len(wrong) <= MAX_DIRECTLY_MARKED_GIFTS:
        _mark(tx, wrong)
        return
    note = {
        "_id": ObjectId(),
        "organization_id": enrolled[0]["organization_id"],
        "due": now(),
        "participants": [email["_id"] for email in enrolled],
    }
    tx.database.late_touches.insert_one(note, session=tx.session)


def mark_gifts_of_participants(tx: Tx, ids: Sequence[ObjectId]) -> set[ObjectId]:
    """Mark the gifts that count for wrong participants, without a transaction.

    Return their fundraisers.
    """
    query = {"_id": {"$in": list(ids)}, **LIVE_PARTICIPANT_FILTER}
    live = list(collection(tx.database, ParticipantRow).find(query, session=tx.session))
    wrong = _Affected(live, set(ids)).find_gifts(tx)
    fundraisers: set[ObjectId] = set()
    while gifts := list(islice(wrong, MARKED_GIFTS_PER_WRITE)):
        _mark(tx, gifts)
        fundraisers |= {gift["fundraiser_id"] for gift in gifts}
    return fundraisers


def _enrol(changes: Changes, email: EmailRow, participant: Mapping[str, Any]) -> None:
    """Add an email's participant, its arm and the parts of the arm to the changes.

    The transaction must write the user, so that it conflicts with one that counts the user's gift.
    """
    update = changes.update_of("participants", email["_id"])
    if email.get("counted"):
        update.set({name: participant[name] for name in ("since", "until")})
    else:
        update.set_on_insert({key: one for key, one in participant.items() if key != "_id"})
        if not (arm_update := changes.update_of("arms", email["arm_id"])):
            of = {name: participant[name] for name in ("organization_id", "fundraiser_id")}
            arm = {**build_arm_row(email["arm_id"]), **of}
            arm_update.set_on_insert({key: one for key, one in arm.items() if key != "_id"})
        for part in list_arm_segments(email):
            if not (part_update := changes.update_of("arm_segments", part["_id"])):
                part_update.set_on_insert({key: one for key, one in part.items() if key != "_id"})
    if email.get("counted") or not is_mailed(email):
        # Other new emails change a counter of the user.
        changes.update_of("users", email["user_id"]).set({"enrolled_at": now()})


@dataclass(frozen=True)
class _Affected:
    """Participants for whom gifts may count by mistake, or not count.

    Attributes:
        live: those whose email exists, in their new state.
        known: IDs of those that existed before, so that gifts can count for them.
    """

    live: Sequence[ParticipantRow]
    known: Collection[ObjectId]

    def find_gifts(self, tx: Tx) -> Iterator[DonationRow]:
        """Yield the gifts with wrong participants, marked or not. A gift can occur twice.

        A marked gift needs the mark again, because a concurrent transaction may be removing it.
        """
        by_user = group_by_user(self.live)
        for gift in chain(_find_in_windows(tx, self.live), _find_known(tx, self.known)):
            if has_wrong_participants(gift, by_user, self.known):
                yield gift


def _find_in_windows(tx: Tx, participants: Sequence[ParticipantRow]) -> Iterator[DonationRow]:
    """Yield the gifts that may count for these participants.

    Most emails are recorded before any gift in their window. So the first query reads the few gifts
    of the organization in these windows. Only if there are many, other queries find the users'.
    """
    if not participants:
        return
    times = {
        "$gte": min(one["since"] for one in participants),
        "$lt": max(one["until"] for one in participants),
    }
    query = {"organization_id": participants[0]["organization_id"], "donated_at": times}
    most = MAX_DIRECTLY_MARKED_GIFTS + 1
    recent = list(
        collection(tx.database, DonationRow).find(
            query,
            JUDGED_GIFT_FIELDS,
            limit=most,
            batch_size=most,
            hint=GIFT_TIME_INDEX,
            session=tx.session,
        )
    )
    if len(recent) < most:
        yield from recent
        return
    users = {one["user_id"] for one in participants}
    yield from find_linked_gifts(tx, "user_id", users, {"donated_at": times}, JUDGED_GIFT_FIELDS)


def _find_known(tx: Tx, ids: Collection[ObjectId]) -> Iterator[DonationRow]:
    """Yield the gifts that count for these participants."""
    if ids:
        yield from find_linked_gifts(tx, "participant_ids", ids, {}, JUDGED_GIFT_FIELDS)


def _mark(tx: Tx, gifts: Sequence[DonationRow]) -> None:
    """Mark gifts, so that a worker decides their participants again."""
    if gifts:
        these = {"_id": {"$in": [gift["_id"] for gift in gifts]}}
        mark = {"$set": {"due": now(), "outcomes_due": True}}
        tx.database.donations.update_many(these, mark, session=tx.session)
