"""The participants for whom a gift counts. Pure: no database, no clock.

A gift counts for every participant of its user whose window contains the time of the gift. Unless
the experiment is organization-wide, the gift must be to the fundraiser of the mailing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from bson import ObjectId

from documents.rows.donation import DonationRow
from documents.rows.experiment import ParticipantRow

ParticipantsByUser = Mapping[ObjectId, Sequence[ParticipantRow]]


def group_by_user(participants: Iterable[ParticipantRow]) -> ParticipantsByUser:
    """Return the participants of each user."""
    groups: defaultdict[ObjectId, list[ParticipantRow]] = defaultdict(list)
    for one in participants:
        groups[one["user_id"]].append(one)
    return groups


def is_in_window(gift: DonationRow, participant: ParticipantRow) -> bool:
    """Return whether a gift of the participant's user counts for the participant."""
    if not participant["since"] <= gift["donated_at"] < participant["until"]:
        return False
    is_wide = participant.get("organization_wide", False)
    return is_wide or gift["fundraiser_id"] == participant["fundraiser_id"]


def list_participant_ids(gift: DonationRow, participants: ParticipantsByUser) -> list[ObjectId]:
    """Return the IDs of the participants for whom the gift counts, in order."""
    user_id = gift.get("user_id")
    mine = participants.get(user_id, ()) if user_id else ()
    return sorted(one["_id"] for one in mine if is_in_window(gift, one))


def has_wrong_participants(
    gift: DonationRow, participants: ParticipantsByUser, judged: Collection[ObjectId] = ()
) -> bool:
    """Return whether the gift lacks one of these participants, or has a superfluous one.

    Args:
        judged: the participants that are superfluous unless the rules give them.
    """
    known, right = gift.get("participant_ids") or (), list_participant_ids(gift, participants)
    return any(id_ not in known for id_ in right) or any(
        id_ in judged and id_ not in right for id_ in known
    )
