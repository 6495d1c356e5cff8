"""Participants of a batch of gifts, in the transaction that settles them."""

from documents.outcomes.rules import ParticipantsByUser, group_by_user, list_participant_ids
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.experiment import ParticipantRow
from matchback.engine import Changes, Tx

PARTICIPANT_ROWS_PER_ANSWER = 5_000  # MongoDB's first answer has 101 rows by default
PARTICIPANT_FIELDS = dict.fromkeys(
    ("user_id", "arm_id", "fundraiser_id", "since", "until", "organization_wide"), 1
)
LIVE_PARTICIPANT_FILTER = {"emails": {"$gt": 0}}


def assign_outcomes(tx: Tx, changes: Changes) -> None:
    """Set the participants for whom the gifts to settle count.

    Call this after their match, which finds their users.

    If the settling of an email creates a participant meanwhile, one of the two transactions fails
    with a write conflict. Both write the user, because this one counts the gift for the user.
    """
    gifts: list[DonationRow] = changes.rows.get("donations", [])
    if not gifts:
        return
    participants = _read_participants(tx, gifts)
    for gift in gifts:
        after = list_participant_ids(gift, participants) or None
        update: DonationRow = {}  # type: ignore[typeddict-item]  # mypy expects all fields
        if after != (gift.get("participant_ids") or None):
            update["participant_ids"] = after
        if gift.get("outcomes_due"):
            update["outcomes_due"] = None
        if update:
            gift.update(update)
            changes.update_of("donations", gift["_id"]).set_or_unset(update)


def _read_participants(tx: Tx, gifts: list[DonationRow]) -> ParticipantsByUser:
    users = {user_id for gift in gifts if (user_id := gift.get("user_id"))}
    if not users:
        return {}
    times = [gift["donated_at"] for gift in gifts]
    query = {
        "user_id": {"$in": list(users)},
        "until": {"$gt": min(times)},
        "since": {"$lte": max(times)},
        **LIVE_PARTICIPANT_FILTER,
    }
    found = collection(tx.database, ParticipantRow).find(
        query, PARTICIPANT_FIELDS, session=tx.session, batch_size=PARTICIPANT_ROWS_PER_ANSWER
    )
    return group_by_user(found)
