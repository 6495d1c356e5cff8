"""Deliveries of events to a webhook endpoint, with each attempt."""

from typing import Annotated, Any

import falcon
from pydantic import MISSING, Field

from documents.outgoing.delivery_list import fetch_delivery, list_deliveries, show_deliveries
from documents.outgoing.event_delivery import DeliveryState, EventDelivery
from documents.outgoing.event_types import OutgoingEventType
from documents.outgoing.resend import resend_delivery
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.storage.pagination import InvalidCursor
from service.api.fields import Id, ListQuery, ResponseModel, Time
from service.api.operation import answer_model, operation
from service.api.parsing import bad_request


class AttemptOut(ResponseModel):
    """An attempt to send an event."""

    at: Time
    seconds: Annotated[float | None, Field(description="Duration.")]
    status: Annotated[int | None, Field(description="HTTP status; null without a response.")]
    error: Annotated[str | None, Field(description="Why the attempt failed; null after a success.")]


class EventDeliveryOut(ResponseModel):
    id: Id
    event_id: Annotated[str, Field(description="ID of the event, which all endpoints share.")]
    type: OutgoingEventType
    record_id: Annotated[Id, Field(description="ID of the record that the event is about.")]
    version: Annotated[int, Field(description="Rises with each event of the record.")]
    created_at: Time
    state: DeliveryState
    next_attempt_at: Time | None
    failed_at: Time | None
    delivered_at: Time | None
    attempts: Annotated[list[AttemptOut], Field(description="The latest attempts, newest first.")]
    body: Annotated[
        dict[str, Any],
        Field(description="Body as an attempt would send it now. It has current names."),
    ]


class EventDeliveryList(ResponseModel):
    data: list[EventDeliveryOut]
    next_cursor: str | None


class EventDeliveryQuery(ListQuery):
    """A page of deliveries, newest events first."""

    state: DeliveryState | MISSING = MISSING


class EventDeliveries:
    """/v1/webhook-endpoints/{id}/deliveries, and /{delivery_id} below it"""

    @operation(
        "List event deliveries",
        scope="admin",
        query=EventDeliveryQuery,
        answers={200: EventDeliveryList},
    )
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: EventDeliveryQuery
    ) -> None:
        endpoint = fetch_endpoint(req, id)
        state = query.model_dump(exclude_unset=True).get("state")
        try:
            found = list_deliveries(endpoint, state, query.limit, query.cursor)
        except InvalidCursor:
            raise bad_request("Invalid cursor. Use the `next_cursor` of this list.") from None
        listed = {"data": found.records, "next_cursor": found.next_cursor}
        answer_model(resp, EventDeliveryList, listed)

    @operation("Get an event delivery", scope="admin", answers={200: EventDeliveryOut})
    def on_get_one(
        self, req: falcon.Request, resp: falcon.Response, id: str, delivery_id: str
    ) -> None:
        answer_delivery(resp, fetch_delivery(fetch_endpoint(req, id), delivery_id))

    @operation(
        "Send an event again",
        scope="admin",
        answers={202: EventDeliveryOut},
        name="resend_event_delivery",
    )
    def on_post_resend(
        self, req: falcon.Request, resp: falcon.Response, id: str, delivery_id: str
    ) -> None:
        endpoint = fetch_endpoint(req, id)
        resent = resend_delivery(endpoint, fetch_delivery(endpoint, delivery_id))
        answer_delivery(resp, resent, 202)


def answer_delivery(resp: falcon.Response, delivery: EventDelivery, status: int = 200) -> None:
    """Respond with a delivery and its body."""
    (shown,) = show_deliveries([delivery])
    answer_model(resp, EventDeliveryOut, shown, status)


def fetch_endpoint(req: falcon.Request, id_: str) -> WebhookEndpoint:
    """Return a webhook endpoint of the caller's organization."""
    return WebhookEndpoint.fetch(req.context.organization_id, id_)
