"""Test events, which staff send to see whether an endpoint receives events."""

from mongoengine import get_db

from documents.errors import NotFound
from documents.outgoing.event_delivery import EventDelivery, build_delivery_rows
from documents.outgoing.event_types import TEST_EVENT_TYPE
from documents.outgoing.webhook_endpoint import WebhookEndpoint


def note_test(endpoint: WebhookEndpoint) -> EventDelivery:
    """Store a test event for an endpoint. Return its delivery.

    Raises:
        Conflict: the endpoint is disabled.
        NotFound: another process deleted the endpoint meanwhile.
    """
    endpoint.check_enabled()
    live = WebhookEndpoint.live(endpoint.organization_id, id=endpoint.id)
    counted = live.modify(inc__tests=1, new=True)
    if counted is None:
        raise NotFound
    (row,) = build_delivery_rows(
        [counted.to_mongo()],
        TEST_EVENT_TYPE,
        {"endpoint_id": endpoint.id},
        organization_id=endpoint.organization_id,
        record_id=endpoint.id,
        version=counted.tests,
    )
    get_db().event_deliveries.insert_one(row)
    delivery: EventDelivery = EventDelivery.objects(
        id=row["_id"], organization_id=endpoint.organization_id
    ).get()
    return delivery
