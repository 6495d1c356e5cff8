"""A webhook delivery: one POST as it arrived, stored before it is acknowledged."""

import logging

from bson import ObjectId
from mongoengine import (
    BinaryField,
    BooleanField,
    DateTimeField,
    DictField,
    IntField,
    ListField,
    StringField,
    get_db,
)

from documents.concurrency.retries import exclude_postponed
from documents.errors import Unusable
from documents.providers import sendgrid
from documents.providers.registry import PROVIDERS
from documents.storage.fast_insert import insert_source
from documents.storage.marks import DUE_FILTER, due_index, failed_index
from documents.storage.record import CountedRecord, Record
from documents.values.time import now

log = logging.getLogger(__name__)


class WebhookDelivery(CountedRecord, Record):
    """The raw body of a post whose signature was right. A job reads it; see tracking/ingest.py."""

    provider = StringField(required=True)
    body = BinaryField(required=True)
    items = IntField(required=True)
    by_test_key = BooleanField()  # signed with a key of the provider's test mode

    next_item = IntField()  # where tallying goes on: a large post takes several transactions
    bad_event = StringField()  # why one of the events before next_item could not be counted
    tallied_at = DateTimeField()
    counted_events = IntField()
    repeated_events = IntField()
    unmatched_events = IntField()
    refused_events = IntField()
    refused = ListField(DictField())  # what could not be used: its index and the reason

    meta = {
        "collection": "deliveries",
        "indexes": [
            ["organization_id", "id"],
            due_index(),
            due_index("organization_id"),
            failed_index(),
        ],
    }

    @classmethod
    def receive(
        cls, organization_id: ObjectId, provider: str, body: bytes, *, by_test_key: bool = False
    ) -> int:
        """Store a post, whatever it contains. Returns how many events it reports."""
        items = _items_of(provider, body)
        values = {"organization_id": organization_id, "provider": provider, "body": body}
        mode = {"by_test_key": True} if by_test_key else {}
        insert_source(cls, **values, **mode, items=items)
        return items


def _items_of(provider: str, body: bytes) -> int:
    """Return how many items a post has; 1 if nobody can read it."""
    try:
        return PROVIDERS[provider].count(body)
    except Unusable:
        return 1  # tallying reports it
    except Exception:
        # A bug must not lose the post. Tallying raises it again, and retries.
        log.exception("the items of a post could not be counted")
        return 1


def has_due_events(organization_id: ObjectId) -> bool:
    """Whether posts that tell of events wait to be tallied, and not for another try."""
    of = {"organization_id": organization_id, "provider": sendgrid.SENDGRID_PROVIDER}
    query = {**of, **DUE_FILTER, **exclude_postponed(now())}
    return get_db().deliveries.find_one(query, {"_id": 1}) is not None
