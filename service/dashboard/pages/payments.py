"""Payments that are not gifts, with their reasons, and the form that assigns a fundraiser."""

from typing import Literal

import falcon

from documents.fundraiser import Fundraiser
from documents.payments.assignment import assign_fundraiser
from documents.payments.lines import describe_payment
from documents.payments.payment import Payment
from documents.payments.reasons import ASSIGNABLE_REASONS
from documents.storage.pagination import InvalidCursor
from documents.storage.pagination import list_page as page_of
from service.api.parsing import bad_request
from service.dashboard.forms import Form
from service.dashboard.page import form, page, redirect_to
from service.dashboard.presentation.language import marked
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery
from service.dashboard.render import render_page

PAYMENTS_A_PAGE = 50
MAX_FUNDRAISERS_OFFERED = 200
PAYMENTS_PATH = "/dashboard/payments"
ASSIGNMENT_MESSAGES = {
    "assigned": marked("Payment assigned. It is now a gift."),
    "waiting": marked("Payment assigned. It becomes a gift when the processor reports the rest."),
}
NO_FUNDRAISER = marked("Choose a fundraiser, then assign the payment.")


class PaymentPageQuery(PageQuery):
    cursor: Cursor | None = None
    done: Literal["", "assigned", "waiting"] = ""


class PaymentPages:
    """/dashboard/payments, and /dashboard/payments/{id}/fundraiser"""

    @page(query=PaymentPageQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: PaymentPageQuery) -> None:
        organization_id = req.context.organization_id
        try:
            found = page_of(
                Payment,
                organization_id,
                filters=Payment.filters({"status": "unassigned"}),
                sort="-_id",
                limit=PAYMENTS_A_PAGE,
                cursor=query.cursor,
            )
        except InvalidCursor:
            raise bad_request(BAD_PAGE) from None
        fundraisers = (
            Fundraiser.live(organization_id).order_by("-id").limit(MAX_FUNDRAISERS_OFFERED)
        )
        render_page(
            req,
            resp,
            "payments.html",
            payments=[describe_payment(payment) for payment in found.records],
            fundraisers={one.id: one.name for one in fundraisers},
            most=MAX_FUNDRAISERS_OFFERED,
            assignable=ASSIGNABLE_REASONS,
            query=query,
            next_cursor=found.next_cursor,
            done=ASSIGNMENT_MESSAGES.get(query.done, ""),
        )

    @form()
    def on_post_fundraiser(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        organization_id, chosen = req.context.organization_id, form.text("fundraiser")
        Payment.fetch(organization_id, id)
        if not chosen:
            raise bad_request(NO_FUNDRAISER)
        assign_fundraiser(organization_id, id, Fundraiser.fetch(organization_id, chosen).id)
        is_gift = describe_payment(Payment.fetch(organization_id, id)).donation_id is not None
        redirect_to(resp, f"{PAYMENTS_PATH}?done={'assigned' if is_gift else 'waiting'}")
