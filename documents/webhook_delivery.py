"""Webhook delivery: one POST as it arrived, stored before Matchback acknowledges it."""

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
from documents.providers.provider import count_body_items
from documents.providers.registry import EMAIL_PROVIDERS, PROVIDERS
from documents.storage.fast_insert import insert_source
from documents.storage.marks import DUE_FILTER, due_index, failed_index
from documents.storage.record import CountedRecord, Record
from documents.values.time import now

log = logging.getLogger(__name__)


class WebhookDelivery(CountedRecord, Record):
    """The JSON of an authentic POST. A job reads it; see tracking/ingest.py.

    body: the JSON without the provider's form or envelope; the raw body if it has no JSON.
    """

    provider = StringField(required=True)
    body = BinaryField(required=True)
    items = IntField(required=True)
    by_test_key = BooleanField()  # signed with a key of the provider's test mode

    # index at which tallying continues; a large body takes several transactions
    next_item = IntField()
    bad_event = StringField()  # error of an event before next_item that could not be counted
    tallied_at = DateTimeField()
    counted_events = IntField()
    repeated_events = IntField()
    unmatched_events = IntField()
    refused_events = IntField()
    refused = ListField(DictField())  # rejected items: index and reason of each

    meta = {
        "collection": "deliveries",
        "indexes": [
            ["organization_id", "provider", "id"],
            due_index(),
            due_index("organization_id"),
            failed_index(),
        ],
    }

    @classmethod
    def receive(
        cls, organization_id: ObjectId, provider: str, body: bytes, *, by_test_key: bool = False
    ) -> int:
        """Store a POST with any body. Return the number of events that it reports."""
        body, items = unwrap_body(provider, body)
        values = {"organization_id": organization_id, "provider": provider, "body": body}
        mode = {"by_test_key": True} if by_test_key else {}
        insert_source(cls, **values, **mode, items=items)
        return items


def unwrap_body(provider: str, body: bytes) -> tuple[bytes, int]:
    """Return the JSON of a POST and the number of its items, or an unreadable body and 1."""
    if PROVIDERS[provider].kind == "payments":
        return body, 1
    try:
        unwrapped = PROVIDERS[provider].unwrap(body)
        return unwrapped, count_body_items(unwrapped)
    except Unusable:
        return body, 1  # tallying rejects the body and stores the reason
    except Exception:
        # A bug must not lose the POST. Tallying raises the error again and retries.
        log.exception("cannot read a webhook delivery; tallying retries")
        return body, 1


def has_due_events(organization_id: ObjectId) -> bool:
    """Return whether deliveries with events wait for tallying, other than for a retry."""
    of = {"organization_id": organization_id, "provider": {"$in": EMAIL_PROVIDERS}}
    query = {**of, **DUE_FILTER, **exclude_postponed(now())}
    return get_db().deliveries.find_one(query, {"_id": 1}) is not None
