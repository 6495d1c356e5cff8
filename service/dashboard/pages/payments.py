"""Payments that are not gifts, with their reasons, and the form that assigns a fundraiser."""

from typing import Literal

import falcon

from documents.fundraiser import Fundraiser
from documents.payments.assignment import assign
from documents.payments.lines import line_of
from documents.payments.payment import Payment
from documents.payments.reasons import ASSIGNABLE
from documents.storage.pagination import BadCursor
from documents.storage.pagination import page as page_of
from service.api.parsing import malformed
from service.dashboard.forms import Form
from service.dashboard.page import form, go_to, page
from service.dashboard.presentation.language import marked
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery
from service.dashboard.render import render

PAYMENTS_SHOWN = 50
FUNDRAISERS_SHOWN = 200
HERE = "/dashboard/payments"
DONE = {
    "assigned": marked("Payment assigned. It is now a gift."),
    "waiting": marked("Payment assigned. It becomes a gift when the processor reports the rest."),
}
NO_FUNDRAISER = marked("Choose a fundraiser, then assign the payment.")


class PaymentQuery(PageQuery):
    cursor: Cursor | None = None
    done: Literal["", "assigned", "waiting"] = ""


class PaymentPages:
    """/dashboard/payments, and /dashboard/payments/{id}/fundraiser"""

    @page(query=PaymentQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: PaymentQuery) -> None:
        organization_id = req.context.organization_id
        try:
            found = page_of(
                Payment,
                organization_id,
                filters=Payment.filters({"status": "unassigned"}),
                sort="-_id",
                limit=PAYMENTS_SHOWN,
                cursor=query.cursor,
            )
        except BadCursor:
            raise malformed(BAD_PAGE) from None
        fundraisers = Fundraiser.live(organization_id).order_by("-id").limit(FUNDRAISERS_SHOWN)
        render(
            req,
            resp,
            "payments.html",
            payments=[line_of(payment) for payment in found.records],
            fundraisers={one.id: one.name for one in fundraisers},
            most=FUNDRAISERS_SHOWN,
            assignable=ASSIGNABLE,
            query=query,
            next_cursor=found.next_cursor,
            done=DONE.get(query.done, ""),
        )

    @form()
    def on_post_fundraiser(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        organization_id, chosen = req.context.organization_id, form.text("fundraiser")
        Payment.fetch(organization_id, id)
        if not chosen:
            raise malformed(NO_FUNDRAISER)
        assign(organization_id, id, Fundraiser.fetch(organization_id, chosen).id)
        is_gift = line_of(Payment.fetch(organization_id, id)).donation_id is not None
        go_to(resp, f"{HERE}?done={'assigned' if is_gift else 'waiting'}")
