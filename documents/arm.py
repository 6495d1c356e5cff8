"""Arm: the counters of one arm of a mailing's experiment; see documents/experiment.py."""

from mongoengine import ObjectIdField, StringField

from documents.experiment import read_mailing_id
from documents.rows.experiment import ArmRow
from documents.shared_counters import ArmCounters
from documents.storage.base import Document


class Arm(ArmCounters, Document):
    """The participants of an arm and their gifts. The first participant creates it.

    The ID is "<mailing>:<name>".
    """

    id = StringField(primary_key=True)
    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()

    meta = {
        "collection": "arms",
        "auto_create_index": False,
        "indexes": ["fundraiser_id"],
    }


def build_arm_row(id_: str) -> ArmRow:
    """Return the row of a new arm."""
    return {"_id": id_, "mailing_id": read_mailing_id(id_)}
