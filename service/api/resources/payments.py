"""Payments that webhooks reported, including payments that cannot become donations."""

from typing import Annotated, Literal

import falcon
from pydantic import MISSING, Field

from documents.payments.assignment import assign_fundraiser, remove_assignment
from documents.payments.lines import describe_payment
from documents.payments.payment import Payment
from documents.payments.reasons import MissingGiftReason
from service.api.fields import Id, ListQuery, RequestModel, ResponseModel, Time
from service.api.operation import answer_model, answer_page, operation
from service.api.resources.donations import DonationStatus, GiverOut

PaymentProvider = Literal["stripe", "payments"]
PaymentStatus = Annotated[
    Literal["unassigned", "incomplete", "assigned"],
    Field(
        description="`unassigned`: cannot become a donation; see `reason`. "
        "`incomplete`: not paid yet. `assigned`: has a donation."
    ),
]


class PaymentOut(ResponseModel):
    id: Id
    provider: PaymentProvider
    payment_id: Annotated[str, Field(description="The provider's ID, such as Stripe's `pi_…`.")]
    status: PaymentStatus
    reason: Annotated[
        MissingGiftReason | None, Field(description="Code of the reason why there is no donation.")
    ]
    detail: Annotated[str | None, Field(description="Explanation of the reason.")]
    payment_status: Annotated[
        DonationStatus | None, Field(description="Status that the provider reported.")
    ]
    amount: Annotated[int | None, Field(description="Amount in minor units; null until reported.")]
    currency: Annotated[
        str | None, Field(description="Currency as reported, even if ISO 4217 does not define it.")
    ]
    refunded_amount: int
    donor: GiverOut
    paid_at: Annotated[Time | None, Field(description="Time of the payment.")]
    fundraiser_id: Annotated[Id | None, Field(description="Fundraiser that staff assigned.")]
    donation_id: Annotated[
        Id | None, Field(description="ID of the donation; null if there is none.")
    ]
    created_at: Time


class PaymentList(ResponseModel):
    data: list[PaymentOut]
    next_cursor: str | None


class PaymentQuery(ListQuery):
    status: PaymentStatus | MISSING = MISSING
    reason: MissingGiftReason | MISSING = MISSING
    sort: Literal["created_at", "-created_at"] = "-created_at"


class AssignmentIn(RequestModel):
    fundraiser_id: Id


class Payments:
    """/v1/payments, /v1/payments/{id} and /v1/payments/{id}/fundraiser"""

    @operation("List payments", scope="read", query=PaymentQuery, answers={200: PaymentList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: PaymentQuery) -> None:
        answer_page(req, resp, Payment, PaymentOut, query, told=describe_payment)

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
        assign_fundraiser(req.context.organization_id, id, body.fundraiser_id)
        answer_payment(req, resp, id)

    @operation(
        "Remove a payment's assignment",
        scope="write",
        answers={200: PaymentOut},
        problems=(409,),
    )
    def on_delete_fundraiser(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        remove_assignment(req.context.organization_id, id)
        answer_payment(req, resp, id)


def answer_payment(req: falcon.Request, resp: falcon.Response, id_: str) -> None:
    """Respond with a payment."""
    answer_model(
        resp, PaymentOut, describe_payment(Payment.fetch(req.context.organization_id, id_))
    )
