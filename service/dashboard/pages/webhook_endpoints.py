"""Webhook endpoints, which receive events: the form to add one, and a page for each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import falcon
from bson import ObjectId

from config.settings import get_settings
from documents.errors import Conflict
from documents.outgoing.delivery_list import count_deliveries, list_deliveries
from documents.outgoing.endpoint_tests import note_test
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.target_url import MAX_URL_LENGTH
from documents.outgoing.webhook_endpoint import MAX_ENDPOINTS, WebhookEndpoint
from documents.storage.pagination import InvalidCursor, RecordPage
from documents.values.validation import validate_value
from service.api.parsing import bad_request
from service.api.resources.event_deliveries import fetch_endpoint
from service.api.resources.webhook_endpoints import WebhookEndpointIn
from service.dashboard.forms import Form
from service.dashboard.offered_ids import offer_id, read_offered_id
from service.dashboard.page import form, page, redirect_to
from service.dashboard.pages.providers import require_master_key
from service.dashboard.presentation.language import Marked, marked
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery
from service.dashboard.render import render_page

ENDPOINTS_PATH = "/dashboard/settings/webhook-endpoints"
DELIVERIES_A_PAGE = 50
ENDPOINT_MESSAGES = {
    "made": marked(
        "This endpoint exists already. If you did not copy its secret, replace the secret."
    ),
    "replaced": marked("The secret is replaced already. If you did not copy it, replace it again."),
    "saved": marked("Endpoint saved."),
    "enabled": marked("Endpoint enabled. Events that failed meanwhile are below."),
    "disabled": marked("Endpoint disabled. New events are kept as failed."),
    "tested": marked("Matchback sends a test event now. Its result appears below."),
    "resent": marked("Matchback sends the failed events again."),
}
DELIVERY_TABS = {
    "": marked("All"),
    "pending": marked("Waiting"),
    "failed": marked("Failed"),
    "delivered": marked("Delivered"),
}
TOO_MANY = marked("Your organization has the maximum number of endpoints. Delete one first.")
ENABLE_FIRST = marked("The endpoint is disabled. Enable it first, then try again.")


class EndpointQuery(PageQuery):
    state: Literal["", "pending", "failed", "delivered"] = ""
    cursor: Cursor | None = None
    done: str = ""


class WebhookEndpointPages:
    """/dashboard/settings/webhook-endpoints, and the forms below /{id}"""

    @page()
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        settings = get_settings()
        render_page(
            req,
            resp,
            "new_endpoint.html",
            offered=offer_id(req),
            types=OUTGOING_EVENT_TYPES,
            max_url_length=MAX_URL_LENGTH,
            has_master_key=bool(settings.master_keys),
            networks=[str(one) for one in settings.webhook_private_networks],
        )

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        organization_id, id_ = req.context.organization_id, read_offered_id(req, form.text("key"))
        if WebhookEndpoint.objects(organization_id=organization_id, id=id_).first():
            redirect_to(resp, f"{ENDPOINTS_PATH}/{id_}?done=made")  # the browser sent it twice
            return
        with require_master_key(), explain_conflict(TOO_MANY):
            endpoint, secret = WebhookEndpoint.add(organization_id, **_read(form), id_=id_)
        render_page(req, resp, "endpoint_secret.html", 201, endpoint=endpoint, secret=secret)

    @page(query=EndpointQuery)
    def on_get_one(
        self, req: falcon.Request, resp: falcon.Response, query: EndpointQuery, id: str
    ) -> None:
        endpoint = fetch_endpoint(req, id)
        found = _list_page(endpoint, query)
        render_page(
            req,
            resp,
            "endpoint.html",
            endpoint=endpoint,
            counts=_count(endpoint),
            deliveries=found.records,
            next_cursor=found.next_cursor,
            offered=offer_id(req),
            types=OUTGOING_EVENT_TYPES,
            max_url_length=MAX_URL_LENGTH,
            tabs=DELIVERY_TABS,
            query=query,
            done=ENDPOINT_MESSAGES.get(query.done, ""),
        )

    @form()
    def on_post_one(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        fetch_endpoint(req, id).amend(**_read(form))
        redirect_to(resp, f"{ENDPOINTS_PATH}/{id}?done=saved")

    @form()
    def on_post_enable(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        fetch_endpoint(req, id).amend(enabled=True)
        redirect_to(resp, f"{ENDPOINTS_PATH}/{id}?done=enabled")

    @form()
    def on_post_disable(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        fetch_endpoint(req, id).amend(enabled=False)
        redirect_to(resp, f"{ENDPOINTS_PATH}/{id}?done=disabled")

    @form()
    def on_post_secret(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        endpoint, offered = fetch_endpoint(req, id), read_offered_id(req, form.text("key"))
        if endpoint.secret_id == offered:
            redirect_to(resp, f"{ENDPOINTS_PATH}/{id}?done=replaced")  # the browser sent it twice
            return
        with require_master_key():
            endpoint, secret = endpoint.rotate_secret(offered)
        render_page(req, resp, "endpoint_secret.html", endpoint=endpoint, secret=secret)

    @form()
    def on_post_delete(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        fetch_endpoint(req, id).remove()
        redirect_to(resp, "/dashboard/settings?done=endpoint-deleted")

    @form()
    def on_post_test(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        with explain_conflict(ENABLE_FIRST):
            note_test(fetch_endpoint(req, id))
        redirect_to(resp, f"{ENDPOINTS_PATH}/{id}?done=tested")


@contextmanager
def explain_conflict(description: Marked) -> Iterator[None]:
    """Answer a conflict with this text, in the reader's language."""
    try:
        yield
    except Conflict:
        raise falcon.HTTPConflict(description=description) from None


def list_endpoints(organization_id: ObjectId) -> list[dict[str, Any]]:
    """Return the organization's endpoints, oldest first, with numbers of deliveries."""
    found = WebhookEndpoint.live(organization_id).order_by("id").limit(MAX_ENDPOINTS)
    return [{"endpoint": one, **_count(one)} for one in found]


def _count(endpoint: WebhookEndpoint) -> dict[str, str]:
    return {state: count_deliveries(endpoint, state) for state in ("pending", "failed")}


def _read(form: Form) -> dict[str, Any]:
    """Return the endpoint's fields in the form.

    Raises:
        InvalidRequest: the API would not accept them.
    """
    values = {name: form.text(name) for name in ("url", "description")}
    sent = values | {"events": form.list_values("events")}
    return validate_value(WebhookEndpointIn, sent).model_dump()


def _list_page(endpoint: WebhookEndpoint, query: EndpointQuery) -> RecordPage:
    try:
        return list_deliveries(endpoint, query.state or None, DELIVERIES_A_PAGE, query.cursor)
    except InvalidCursor:
        raise bad_request(BAD_PAGE) from None
