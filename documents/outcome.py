"""Outcome: what a participant of an experiment gave within the window, in one currency.

It counts by intention to treat: every gift of the user in the window counts, whatever email the
gift matches and whether or not the participant's email was sent.
"""

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ListField, ObjectIdField, StringField

from documents.rows.experiment import OutcomeRow
from documents.storage.base import Document

SQUARE_BASE_BITS = 32


class Outcome(Document):
    """A participant's gifts in one currency. The first gift creates it.

    The ID is "<participant>:<currency>:<arm>". The name of an arm can contain colons.

    raised: net minor units.
    """

    id = StringField(primary_key=True)
    participant_id = ObjectIdField()
    arm_id = StringField()
    currency = StringField()
    gifts = IntField(default=0)
    raised = IntField(default=0)
    counted = ListField()
    due = DateTimeField()

    meta = {
        "collection": "outcomes",
        "auto_create_index": False,
        "indexes": ["participant_id", "arm_id"],
    }


def make_outcome_id(arm_id: str, participant_id: ObjectId, currency: str) -> str:
    """Return the ID of a participant's outcome in a currency."""
    return f"{participant_id}:{currency}:{arm_id}"


def read_participant_id(id_: str) -> ObjectId:
    """Return the participant in an outcome's ID."""
    return ObjectId(id_.split(":", 1)[0])


def build_outcome_row(id_: str) -> OutcomeRow:
    """Return the row of a new outcome."""
    participant_id, currency, arm_id = id_.split(":", 2)
    return {
        "_id": id_,
        "participant_id": ObjectId(participant_id),
        "arm_id": arm_id,
        "currency": currency,
    }


def currency_of_outcome(outcome: OutcomeRow) -> str:
    return outcome["currency"]


def high_square_key(outcome: OutcomeRow) -> str:
    return f"{outcome['currency']}.high"


def low_square_key(outcome: OutcomeRow) -> str:
    return f"{outcome['currency']}.low"


def high_square_of(outcome: OutcomeRow) -> int:
    """Return the upper part of the square of what the participant gave.

    A square of minor units can exceed 64 bits, so an arm sums both parts separately.
    """
    return outcome.get("raised", 0) ** 2 >> SQUARE_BASE_BITS


def low_square_of(outcome: OutcomeRow) -> int:
    """Return the lower part of the square: 32 bits."""
    return outcome.get("raised", 0) ** 2 & ((1 << SQUARE_BASE_BITS) - 1)


def join_square(high: int, low: int) -> int:
    """Return the sum of squares from the sums of their parts."""
    return (high << SQUARE_BASE_BITS) + low
