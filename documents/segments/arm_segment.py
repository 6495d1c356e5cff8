"""ArmSegment: the counters of an arm's participants who share the value of an attribute.

So an experiment shows its effect for each value. Held-out emails count here, although they are in
no figure of their segment.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from mongoengine import ObjectIdField, StringField

from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.experiment import ArmSegmentRow
from documents.segments.segment import OWNER_BYTES, VALUE_BYTES
from documents.shared_counters import ArmCounters
from documents.storage.base import Document
from matchback.engine import Tx, shorten_link


class ArmSegment(ArmCounters, Document):
    """The participants of an arm whose emails are in one segment, and their gifts.

    The first participant creates it. Its ID follows from the segment and the arm, so a report reads
    it by ID.
    """

    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    segment_id = ObjectIdField()
    arm_id = StringField()

    meta = {
        "collection": "arm_segments",
        "auto_create_index": False,
        "indexes": ["fundraiser_id"],
    }


def make_arm_segment_id(segment_id: ObjectId, arm_id: str) -> ObjectId:
    """Return the ID of the part of an arm in a segment.

    Like segments, all parts of a mailing have neighboring IDs.
    """
    text = segment_id.binary + arm_id.encode()
    rest = hashlib.blake2b(text, digest_size=VALUE_BYTES).digest()
    return ObjectId(segment_id.binary[:OWNER_BYTES] + rest)


def make_arm_segment_ids(segment_ids: Sequence[ObjectId], arm_id: str) -> list[ObjectId]:
    """Return the IDs for all segments of an email with this arm, in the order of the segments."""
    return [make_arm_segment_id(segment_id, arm_id) for segment_id in segment_ids]


def list_arm_segments(email: EmailRow) -> list[ArmSegmentRow]:
    """Return the rows that count an email with an arm, without counters."""
    ids = zip(email.get("segment_ids") or (), email.get("arm_segment_ids") or (), strict=False)
    return [
        {
            "_id": id_,
            "organization_id": email["organization_id"],
            "fundraiser_id": email["fundraiser_id"],
            "mailing_id": email["mailing_id"],
            "segment_id": segment_id,
            "arm_id": email["arm_id"],
        }
        for segment_id, id_ in ids
    ]


def build_arm_segment_row(id_: ObjectId) -> ArmSegmentRow:
    """Return the row of a new part. The settling of its first email adds the other fields."""
    return {"_id": id_}


def build_arm_email_scope(tx: Tx, ids: Sequence[ObjectId]) -> Mapping[str, Any]:
    """Return the condition on indexed fields that all emails of these parts meet."""
    rows = _read_owners(tx, ids)
    if any("mailing_id" not in row for row in rows) or len(rows) < len(ids):
        return {}  # a lost row, which settling created again without its mailing
    return {"mailing_id": {"$in": list({row["mailing_id"] for row in rows})}}


def build_participant_scope(tx: Tx, ids: Sequence[ObjectId]) -> Mapping[str, Any]:
    """Return the condition on indexed fields that all participants of these parts meet."""
    rows = _read_owners(tx, ids)
    if any("arm_id" not in row for row in rows) or len(rows) < len(ids):
        return {}
    return {"links": {"$in": [shorten_link(id_) for id_ in {row["arm_id"] for row in rows}]}}


def _read_owners(tx: Tx, ids: Sequence[ObjectId]) -> list[ArmSegmentRow]:
    found = collection(tx.database, ArmSegmentRow).find(
        {"_id": {"$in": list(ids)}}, {"mailing_id": 1, "arm_id": 1}, session=tx.session
    )
    return list(found)
