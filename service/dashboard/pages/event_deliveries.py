"""The page of one delivery of an event, and the forms that send events again."""

import json

import falcon

from documents.outgoing.delivery_list import fetch_delivery, show_deliveries
from documents.outgoing.resend import resend_delivery, resend_failed
from service.api.resources.event_deliveries import fetch_endpoint
from service.dashboard.forms import Form
from service.dashboard.page import form, page, redirect_to
from service.dashboard.pages.webhook_endpoints import (
    ENABLE_FIRST,
    ENDPOINTS_PATH,
    explain_conflict,
)
from service.dashboard.presentation.language import marked
from service.dashboard.queries import PageQuery
from service.dashboard.render import render_page

RESENT = marked("Matchback sends the event again now.")


class DeliveryQuery(PageQuery):
    done: str = ""


class EventDeliveryPages:
    """/dashboard/settings/webhook-endpoints/{id}/deliveries/{delivery_id}, and resending"""

    @page(query=DeliveryQuery)
    def on_get(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        query: DeliveryQuery,
        id: str,
        delivery_id: str,
    ) -> None:
        endpoint = fetch_endpoint(req, id)
        (delivery,) = show_deliveries([fetch_delivery(endpoint, delivery_id)])
        render_page(
            req,
            resp,
            "delivery.html",
            endpoint=endpoint,
            delivery=delivery,
            body=json.dumps(delivery.body, indent=2, ensure_ascii=False),
            done=RESENT if query.done == "resent" else "",
        )

    @form()
    def on_post_resend(
        self, req: falcon.Request, resp: falcon.Response, id: str, delivery_id: str, form: Form
    ) -> None:
        endpoint = fetch_endpoint(req, id)
        with explain_conflict(ENABLE_FIRST):
            resend_delivery(endpoint, fetch_delivery(endpoint, delivery_id))
        redirect_to(resp, f"{ENDPOINTS_PATH}/{id}/deliveries/{delivery_id}?done=resent")

    @form()
    def on_post_all(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        with explain_conflict(ENABLE_FIRST):
            resend_failed(fetch_endpoint(req, id))
        redirect_to(resp, f"{ENDPOINTS_PATH}/{id}?done=resent")
