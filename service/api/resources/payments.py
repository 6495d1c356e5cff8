"""Payments that webhooks reported, including those that cannot become a donation by themselves."""

from typing import Annotated, Literal

import falcon
from pydantic import MISSING, Field

from documents.payments.assignment import assign, take_back
from documents.payments.lines import line_of
from documents.payments.payment import Payment
from documents.payments.reasons import Reason
from service.api.fields import Answer, Id, ListQuery, Request, Time
from service.api.operation import answer, answer_page, operation
from service.api.resources.donations import GiverOut
from service.api.resources.donations import Status as DonationStatus

Provider = Literal["stripe", "payments"]
Status = Annotated[
    Literal["unassigned", "incomplete", "assigned"],
    Field(
        description="`unassigned`: it cannot become a donation, for the `reason`. "
        "`incomplete`: the donor has not paid. `assigned`: it has a donation."
    ),
]


class PaymentOut(Answer):
    id: Id
    provider: Provider
    payment_id: Annotated[str, Field(description="The provider's ID, such as `pi_…` of Stripe's")]
    status: Status
    reason: Annotated[Reason | None, Field(description="Why it has no donation")]
    detail: Annotated[str | None, Field(description="The reason, in a sentence")]
    payment_status: Annotated[
        DonationStatus | None, Field(description="What the provider reports of the money")
    ]
    amount: Annotated[int | None, Field(description="Minor units; null until it is reported")]
    currency: Annotated[str | None, Field(description="As reported, even if ISO 4217 lacks it")]
    refunded_amount: int
    donor: GiverOut
    paid_at: Annotated[Time | None, Field(description="When the donor paid")]
    fundraiser_id: Annotated[Id | None, Field(description="The fundraiser assigned by hand")]
    donation_id: Annotated[Id | None, Field(description="Its donation; null if it has none")]
    created_at: Time


class PaymentList(Answer):
    data: list[PaymentOut]
    next_cursor: str | None


class PaymentQuery(ListQuery):
    status: Status | MISSING = MISSING
    reason: Reason | MISSING = MISSING
    sort: Literal["created_at", "-created_at"] = "-created_at"


class AssignmentIn(Request):
    fundraiser_id: Id


class Payments:
    """/v1/payments, /v1/payments/{id} and /v1/payments/{id}/fundraiser"""

    @operation("List payments", scope="read", query=PaymentQuery, answers={200: PaymentList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: PaymentQuery) -> None:
        answer_page(req, resp, Payment, PaymentOut, query, told=line_of)

    @operation("Get a payment", scope="read", answers={200: PaymentOut})
    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_payment(req, resp, id)

    @operation(
        "Assign a payment to a fundraiser",
        scope="write",
        body=AssignmentIn,
        answers={200: PaymentOut},
        problems=(409,),
    )
    def on_put_fundraiser(
        self, req: falcon.Request, resp: falcon.Response, id: str, body: AssignmentIn
    ) -> None:
        assign(req.context.organization_id, id, body.fundraiser_id)
        answer_payment(req, resp, id)

    @operation(
        "Remove a payment's assignment",
        scope="write",
        answers={200: PaymentOut},
        problems=(409,),
    )
    def on_delete_fundraiser(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        take_back(req.context.organization_id, id)
        answer_payment(req, resp, id)


def answer_payment(req: falcon.Request, resp: falcon.Response, id_: str) -> None:
    """Answer with a payment."""
    answer(resp, PaymentOut, line_of(Payment.fetch(req.context.organization_id, id_)))
