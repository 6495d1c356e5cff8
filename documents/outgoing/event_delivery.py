"""Event deliveries: each outgoing event of each endpoint, from its fact to its last attempt.

The transaction that settles a record inserts them, so no event is lost and none is invented. They
hold no name and no address. The body takes these from the current records when it is sent (see
`bodies.py`), so an erasure needs no search here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

from bson import ObjectId
from mongoengine import (
    DateTimeField,
    DictField,
    IntField,
    ListField,
    ObjectIdField,
    StringField,
)

from documents.outgoing.event_types import TEST_EVENT_TYPE, OutgoingEventType
from documents.storage.base import Document
from documents.storage.pagination import PageRead
from documents.storage.tenancy import OWNED_META
from documents.values.time import now

DELIVERIES_INDEX = "endpoint_id_1__id_1"
DeliveryState = Literal["pending", "failed", "delivered"]
PENDING_FILTER: dict[str, Any] = {"next_attempt_at": {"$type": "date"}}
FAILED_FILTER: dict[str, Any] = {"failed_at": {"$type": "date"}}
# The partial index of each state has the name of the state.
STATE_FILTERS: dict[DeliveryState, dict[str, Any]] = {
    "pending": PENDING_FILTER,
    "failed": FAILED_FILTER,
    "delivered": {"delivered_at": {"$type": "date"}},
}


class EventDelivery(Document):
    """One event on its way to one endpoint.

    Attributes:
        event_id: ID of the event, which all endpoints share.
        record_id: ID of the donation, email or import that the event is about.
        version: rises with each event of this record.
        at: time of the fact.
        data: content of the event, without names and addresses.
        next_attempt_at: set while the event waits to be sent.
        failed_at, delivered_at: set at the end. Another attempt unsets both.
        first_attempt_at: start of the three days of retries.
        tries: failed attempts since then.
        attempts: the latest attempts, oldest first: {"at", "seconds", "status", "error"}.
    """

    organization_id = ObjectIdField(required=True)
    endpoint_id = ObjectIdField(required=True)
    event_id = ObjectIdField(required=True)
    type = StringField(required=True)
    record_id = ObjectIdField(required=True)
    version = IntField(required=True)
    at = DateTimeField(required=True)
    data = DictField()
    next_attempt_at = DateTimeField()
    failed_at = DateTimeField()
    delivered_at = DateTimeField()
    first_attempt_at = DateTimeField()
    tries = IntField(default=0)
    attempts = ListField(DictField())

    meta = {
        "collection": "event_deliveries",
        "auto_create_index": False,
        "indexes": [
            ["endpoint_id", "id"],
            {
                "fields": ["endpoint_id", "next_attempt_at"],
                "partialFilterExpression": PENDING_FILTER,
            },
            {
                "fields": ["next_attempt_at", "endpoint_id"],
                "partialFilterExpression": PENDING_FILTER,
            },
            *(
                {
                    "fields": ["endpoint_id", "id"],
                    "name": state,
                    "partialFilterExpression": condition,
                }
                for state, condition in STATE_FILTERS.items()
            ),
        ],
        **OWNED_META,
    }

    @property
    def state(self) -> DeliveryState:
        """State in the API."""
        if self.next_attempt_at is not None:
            return "pending"
        return "failed" if self.failed_at is not None else "delivered"

    @classmethod
    def read_page(cls, page: PageRead) -> list[Self]:
        """Return the records of a page from the index of their state; see `list_page`."""
        own = (name for name, one in STATE_FILTERS.items() if one.keys() <= page.filters.keys())
        found = cls.objects(__raw__=page.query).order_by("-id").limit(page.number)
        return list(found.hint(next(own, DELIVERIES_INDEX)))


def build_delivery_rows(
    endpoints: Iterable[Mapping[str, Any]],
    type_: OutgoingEventType,
    data: Mapping[str, Any],
    *,
    organization_id: ObjectId,
    record_id: ObjectId,
    version: int,
    event_id: ObjectId | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of one event for the endpoints that chose its type.

    Args:
        endpoints: from `list_subscribed`.
    """
    time = now()
    event = {
        "organization_id": organization_id,
        "event_id": event_id or ObjectId(),
        "type": type_,
        "record_id": record_id,
        "version": version,
        "at": time,
        "data": dict(data),
    }
    return [
        {
            "_id": ObjectId(),
            "endpoint_id": endpoint["_id"],
            **event,
            **(
                {"failed_at": time}
                if endpoint.get("disabled_reason")
                else {"next_attempt_at": time}
            ),
        }
        for endpoint in endpoints
        if type_ == TEST_EVENT_TYPE or type_ in endpoint["events"]
    ]


def wants_any(endpoints: Sequence[Mapping[str, Any]], prefix: str) -> bool:
    """Return whether an endpoint chose a type that starts with this prefix."""
    return any(type_.startswith(prefix) for one in endpoints for type_ in one["events"])
