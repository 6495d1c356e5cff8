"""Participant: a user who takes part in an experiment, because the user's email has an arm.

A participant has the email's ID. An arm counts its participants, and the settling of a gift finds
them by their user. The emails themselves have no index of these fields, because each further index
slows down every write of settling.
"""

from typing import Any

from bson import ObjectId
from mongoengine import BooleanField, DateTimeField, IntField, ListField, ObjectIdField, StringField

from documents.rows.email import EmailRow
from documents.rows.experiment import ParticipantRow
from documents.storage.base import Document


class Participant(Document):
    """The email of a user in an experiment. Settling the email creates it.

    since, until: the window. A gift in it counts for the participant's arm: `since` is included,
        and `until` is not.
    organization_wide: whether gifts to every fundraiser of the organization count.
    emails: 1 while the email exists, otherwise 0.
    delivered, opened, clicked: whether the email was, as 1 or 0.
    gifts: gifts that count.
    """

    id = ObjectIdField(primary_key=True)
    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    user_id = ObjectIdField()
    arm_id = StringField()
    since = DateTimeField()
    until = DateTimeField()
    organization_wide = BooleanField()
    emails = IntField(default=0)
    delivered = IntField(default=0)
    opened = IntField(default=0)
    clicked = IntField(default=0)
    gifts = IntField(default=0)
    counted = ListField()
    due = DateTimeField()

    meta = {
        "collection": "participants",
        "auto_create_index": False,
        "indexes": [["user_id", "until"], "arm_id"],
    }


def build_participant_values(email: EmailRow) -> dict[str, Any]:
    """Return the fields besides counters of an email's participant."""
    values: dict[str, Any] = {
        "organization_id": email["organization_id"],
        "fundraiser_id": email["fundraiser_id"],
        "user_id": email["user_id"],
        "arm_id": email["arm_id"],
        "since": email["outcome_from"],
        "until": email["outcome_until"],
    }
    if email.get("organization_wide"):
        values["organization_wide"] = True
    return values


def build_participant_row(id_: ObjectId) -> ParticipantRow:
    """Return the row of a new participant. The settling of its email adds the other fields."""
    return {"_id": id_}
