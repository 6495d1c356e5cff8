"""Participant: a user who takes part in an experiment, because the user's email has an arm.

A participant has the email's ID. An arm counts its participants, and the settling of a gift finds
them by their user. The emails themselves have no index of these fields, because each further index
slows down every write of settling.
"""

from functools import lru_cache
from typing import Any

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    IntField,
    ListField,
    MapField,
    ObjectIdField,
    StringField,
)

from documents.rows.email import EmailRow
from documents.rows.experiment import ParticipantRow
from documents.storage.base import Document
from matchback.engine import LinkIndex, shorten_link

SQUARE_BASE_BITS = 32
# The settling of an email with an arm creates its row; see outcomes/late_emails.py.
PARTICIPANT_INDEX = LinkIndex(collection="participants", fields=("arm_id",), is_written=False)


class Participant(Document):
    """The email of a user in an experiment. Settling the email creates it.

    Attributes:
        since, until: the window. A gift in it counts for the participant's arm: `since` is
            included, and `until` is not.
        organization_wide: whether gifts to every fundraiser of the organization count.
        links: the digest of the arm's ID, by which emails and participants of an arm are found.
        arm_segment_ids: the parts of the arm that count the participant, by attribute.
        emails: 1 while the email exists, otherwise 0.
        gifts: counted gifts of the user in the window, whatever email they match.
        raised: their net minor units, by currency.
    """

    id = ObjectIdField(primary_key=True)
    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    user_id = ObjectIdField()
    arm_id = StringField()
    since = DateTimeField()
    until = DateTimeField()
    organization_wide = BooleanField()
    links = ListField(default=None)
    arm_segment_ids = ListField(ObjectIdField(), default=None)
    emails = IntField(default=0)
    gifts = IntField(default=0)
    raised = MapField(IntField())
    counted = ListField()
    due = DateTimeField()

    meta = {
        "collection": "participants",
        "auto_create_index": False,
        "indexes": [["user_id", "until"], "links"],
    }


_shorten_arm_id = lru_cache(maxsize=1024)(shorten_link)  # many emails have the same arm


def build_participant_values(email: EmailRow) -> dict[str, Any]:
    """Return the fields besides counters of an email's participant."""
    values: dict[str, Any] = {
        "organization_id": email["organization_id"],
        "fundraiser_id": email["fundraiser_id"],
        "user_id": email["user_id"],
        "arm_id": email["arm_id"],
        "since": email["outcome_from"],
        "until": email["outcome_until"],
        "links": [_shorten_arm_id(email["arm_id"])],
    }
    if ids := email.get("arm_segment_ids"):
        values["arm_segment_ids"] = ids
    if email.get("organization_wide"):
        values["organization_wide"] = True
    return values


def read_raised(participant: ParticipantRow) -> dict[str, int]:
    """Return what the participant gave, by currency."""
    return participant.get("raised", {})


def count_givers_by_currency(participant: ParticipantRow) -> dict[str, int]:
    """Return 1 for each currency in which the participant gave."""
    return {currency: 1 for currency, amount in participant.get("raised", {}).items() if amount}


def split_squares(participant: ParticipantRow) -> dict[str, int]:
    """Return the upper and lower part of the square of what the participant gave, by currency.

    A square of minor units can exceed 64 bits, so an arm sums both parts separately.
    """
    parts: dict[str, int] = {}
    for currency, amount in participant.get("raised", {}).items():
        parts[f"{currency}.high"] = amount**2 >> SQUARE_BASE_BITS
        parts[f"{currency}.low"] = amount**2 & ((1 << SQUARE_BASE_BITS) - 1)
    return parts


def join_square(high: int, low: int) -> int:
    """Return the sum of squares from the sums of their parts."""
    return (high << SQUARE_BASE_BITS) + low


def build_participant_row(id_: ObjectId) -> ParticipantRow:
    """Return the row of a new participant. The settling of its email adds the other fields."""
    return {"_id": id_}
