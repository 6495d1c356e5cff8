"""Webhook endpoints, which receive events. A secret is shown only when Matchback makes it."""

from typing import Annotated, Literal

import falcon
from pydantic import MISSING, AfterValidator, Field, StringConstraints

from documents.outgoing.endpoint_tests import note_test
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES, ChosenEventType
from documents.outgoing.resend import resend_failed
from documents.outgoing.target_url import MAX_URL_LENGTH
from documents.outgoing.webhook_endpoint import DisabledReason, WebhookEndpoint
from documents.values.validators import check_line
from service.api.fields import Id, ListQuery, RequestModel, ResponseModel, Text, Time
from service.api.operation import answer_model, answer_page, operation
from service.api.resources.event_deliveries import (
    EventDeliveryOut,
    answer_delivery,
    fetch_endpoint,
)

Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_URL_LENGTH),
    AfterValidator(check_line),
    Field(
        description="URL that receives events. It starts with `https://`, unless the operator "
        "allows private networks. It has no user name, password or fragment."
    ),
]
EventTypes = Annotated[
    list[ChosenEventType],
    Field(min_length=1, max_length=100, description="Types of events that the endpoint receives."),
]
Description = Annotated[Text, Field(description="Note for people.")]


class WebhookEndpointIn(RequestModel):
    url: Url
    events: EventTypes = list(OUTGOING_EVENT_TYPES)
    description: Description = ""


class WebhookEndpointPatch(RequestModel):
    url: Url | MISSING = MISSING
    events: EventTypes | MISSING = MISSING
    description: Description | MISSING = MISSING
    enabled: (
        Annotated[
            bool,
            Field(strict=True, description="False stops sending. New events are kept as failed."),
        ]
        | MISSING
    ) = MISSING


class WebhookEndpointOut(ResponseModel):
    id: Id
    url: str
    events: list[ChosenEventType]
    description: str
    enabled: bool
    disabled_reason: Annotated[
        DisabledReason | None,
        Field(
            description="`staff`: a person or a client disabled it. `failing`: no attempt "
            "succeeded for three days. `gone`: the receiver answered 410."
        ),
    ]
    disabled_at: Time | None
    failing_since: Annotated[
        Time | None, Field(description="Time of the first failure since the last success.")
    ]
    succeeded_at: Annotated[Time | None, Field(description="Time of the last success.")]
    previous_secret_until: Annotated[
        Time | None,
        Field(description="End of the 24 hours in which the previous secret signs, too."),
    ]
    resend_requested_at: Annotated[
        Time | None,
        Field(description="Set while Matchback resends the deliveries that failed before it."),
    ]
    created_at: Time
    updated_at: Time


class NewWebhookEndpoint(WebhookEndpointOut):
    secret: Annotated[str, Field(description="Signing secret. It is shown only once.")]


class WebhookEndpointList(ResponseModel):
    data: list[WebhookEndpointOut]
    next_cursor: str | None


class WebhookEndpointQuery(ListQuery):
    sort: Literal["created_at", "-created_at"] = "-created_at"


class WebhookEndpoints:
    """/v1/webhook-endpoints and /v1/webhook-endpoints/{id} with its secret and its test"""

    @operation(
        "List webhook endpoints",
        scope="admin",
        query=WebhookEndpointQuery,
        answers={200: WebhookEndpointList},
    )
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, query: WebhookEndpointQuery
    ) -> None:
        answer_page(req, resp, WebhookEndpoint, WebhookEndpointOut, query)

    @operation(
        "Create a webhook endpoint",
        scope="admin",
        body=WebhookEndpointIn,
        answers={201: NewWebhookEndpoint},
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, body: WebhookEndpointIn) -> None:
        endpoint, secret = WebhookEndpoint.add(
            req.context.organization_id, **body.model_dump(), id_=req.context.record_id
        )
        resp.location = f"{req.path}/{endpoint.id}"
        answer_secret(resp, endpoint, secret, 201)

    @operation("Get a webhook endpoint", scope="admin", answers={200: WebhookEndpointOut})
    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(resp, WebhookEndpointOut, fetch_endpoint(req, id))

    @operation(
        "Update a webhook endpoint",
        scope="admin",
        body=WebhookEndpointPatch,
        answers={200: WebhookEndpointOut},
        problems=(409,),
    )
    def on_patch_one(
        self, req: falcon.Request, resp: falcon.Response, id: str, body: WebhookEndpointPatch
    ) -> None:
        changed = fetch_endpoint(req, id).amend(**body.model_dump(exclude_unset=True))
        answer_model(resp, WebhookEndpointOut, changed)

    @operation("Delete a webhook endpoint", scope="admin", answers={204: None}, problems=(409,))
    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        fetch_endpoint(req, id).remove()
        resp.status = 204

    @operation(
        "Replace the signing secret of a webhook endpoint",
        scope="admin",
        answers={200: NewWebhookEndpoint},
        name="rotate_webhook_endpoint_secret",
    )
    def on_post_rotate(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        endpoint = fetch_endpoint(req, id)
        answer_secret(resp, *endpoint.rotate_secret(req.context.record_id))

    @operation(
        "Send a test event",
        scope="admin",
        answers={202: EventDeliveryOut},
        name="test_webhook_endpoint",
    )
    def on_post_test(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_delivery(resp, note_test(fetch_endpoint(req, id)), 202)

    @operation(
        "Send all failed events of a webhook endpoint again",
        scope="admin",
        answers={202: WebhookEndpointOut},
        name="resend_failed_event_deliveries",
    )
    def on_post_resend(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(resp, WebhookEndpointOut, resend_failed(fetch_endpoint(req, id)), 202)


def answer_secret(
    resp: falcon.Response, endpoint: WebhookEndpoint, secret: str, status: int = 200
) -> None:
    """Respond with an endpoint and its new secret."""
    shown = WebhookEndpointOut.model_validate(endpoint).model_dump() | {"secret": secret}
    answer_model(resp, NewWebhookEndpoint, shown, status)
