"""Segment: the emails of a mailing whose recipients had one value of an attribute.

Emails without a mailing belong to segments of their fundraiser. The built-in attribute
`mailbox_provider` comes from the recipient's address.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from mongoengine import BooleanField, DictField, IntField, MapField, ObjectIdField, StringField

from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from matchback.engine import Tx

OWNER_BYTES, VALUE_BYTES = 4, 8


class Segment(Document):
    """A value of an attribute in a mailing or a fundraiser, and its counters.

    The first email with the value creates it. Counters: see documents/counters.py.

    mailing_id: unset for emails without a mailing.
    is_rest: whether this is the segment of all values beyond the limit; it has no value.
    """

    organization_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    mailing_id = ObjectIdField()
    attribute = StringField()
    value = StringField()
    is_rest = BooleanField()
    emails_count = IntField(default=0)
    funnel = MapField(IntField())
    matched = DictField()  # gifts that match its emails: `count`, and `raised` by currency

    meta = {
        "collection": "segments",
        **OWNED_META,
        "auto_create_index": False,
        "indexes": [["mailing_id", "attribute"], ["fundraiser_id", "attribute"]],
    }


def make_segment_id(owner: ObjectId, attribute: str, value: str | None) -> ObjectId:
    """Return the ID of a segment. Segments of one mailing or fundraiser have neighboring IDs.

    So a recount, which reads segments by ID, reads each mailing's emails about once.

    Args:
        owner: the mailing, or the fundraiser of emails without a mailing.
        value: None for the segment of all values beyond the limit.
    """
    text = f"{attribute}:{'' if value is None else '=' + value}"
    first = hashlib.blake2b(owner.binary, digest_size=OWNER_BYTES).digest()
    rest = hashlib.blake2b(owner.binary + text.encode(), digest_size=VALUE_BYTES).digest()
    return ObjectId(first + rest)


def build_segment_row(id_: ObjectId) -> Mapping[str, Any]:
    """Return the row of a segment that was lost. Recording an email stores it with its value."""
    return {"_id": id_}


def build_email_scope(tx: Tx, ids: Sequence[ObjectId]) -> Mapping[str, Any]:
    """Return the condition on indexed fields that all emails of these segments meet.

    An index on `segment_ids` would make every settlement of an email slower.
    """
    fields = {"fundraiser_id": 1, "mailing_id": 1}
    query = {"_id": {"$in": list(ids)}}
    rows = list(tx.database.segments.find(query, fields, session=tx.session))
    if len(rows) < len(ids):
        return {}  # the owner of a missing segment is unknown
    mailings: set[ObjectId] = set()
    fundraisers: set[ObjectId] = set()
    for row in rows:
        if mailing_id := row.get("mailing_id"):
            mailings.add(mailing_id)
        elif fundraiser_id := row.get("fundraiser_id"):
            fundraisers.add(fundraiser_id)
        else:
            return {}  # a row that settling had to create again
    of_fundraisers = {"fundraiser_id": {"$in": list(fundraisers)}, "mailing_id": None}
    return {"$or": [{"mailing_id": {"$in": list(mailings)}}, of_fundraisers]}
