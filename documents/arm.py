"""Arm: the counters of one arm of a mailing's experiment; see documents/experiment.py."""

from bson import ObjectId
from mongoengine import DictField, IntField, MapField, ObjectIdField, StringField

from documents.rows.experiment import ArmRow
from documents.storage.base import Document


class Arm(Document):
    """The participants of an arm and their gifts. The first participant creates it.

    The ID is "<mailing>:<name>".

    Attributes:
        recipients: participants, whether or not their email was sent.
        givers: participants with a gift in their window.
        givers_by_currency: participants who gave, by currency.
        raised: net minor units by currency.
        credited: net minor units of the gifts that match the arm's emails, by currency.
        ends: participants by the UTC day on which their window ends, such as 2026-12-20.
        squares: sums of the squared net minor units of each participant, by currency, in two parts;
            see `join_square`.
    """

    id = StringField(primary_key=True)
    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    recipients = IntField(default=0)
    delivered = IntField(default=0)
    opened = IntField(default=0)
    clicked = IntField(default=0)
    givers = IntField(default=0)
    givers_by_currency = MapField(IntField())
    raised = MapField(IntField())
    credited = MapField(IntField())
    ends = MapField(IntField())
    squares = DictField()

    meta = {
        "collection": "arms",
        "auto_create_index": False,
        "indexes": ["fundraiser_id"],
    }


def build_arm_row(id_: str) -> ArmRow:
    """Return the row of a new arm."""
    return {"_id": id_, "mailing_id": ObjectId(id_.split(":", 1)[0])}
