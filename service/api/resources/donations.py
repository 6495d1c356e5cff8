"""Donations and their matches."""

from typing import Annotated, Literal

import falcon
from pydantic import MISSING, BeforeValidator, Field

from documents.donation import Donation
from documents.imports.bodies import DonationIn
from documents.matching.rules import MatchKind
from documents.removal import remove_record
from documents.values.gift import hide_import_id, read_gift
from service.api.fields import (
    AmountOrZero,
    FilterQuery,
    Id,
    ListQuery,
    RequestModel,
    ResponseModel,
    Text,
    Time,
)
from service.api.operation import answer_model, answer_page, operation

DonationStatus = Literal["pending", "succeeded", "failed", "refunded", "disputed"]


class GiverOut(ResponseModel):
    name: Annotated[str, Field(description="`Anonymous` if unknown.")]
    email: Annotated[str, Field(description="Blank if unknown.")]


class DonationPatch(RequestModel):
    status: DonationStatus | MISSING = MISSING
    refunded_amount: (
        Annotated[AmountOrZero, Field(description="Total amount refunded so far.")] | MISSING
    ) = MISSING


class DonationOut(ResponseModel):
    id: Id
    fundraiser_id: Id
    amount: int
    currency: str
    donor: GiverOut
    status: DonationStatus
    external_id: Annotated[str | None, BeforeValidator(hide_import_id)]
    recurring_id: str | None
    donated_at: Time
    refunded_amount: int
    match: Annotated[MatchKind | None, Field(description="Match class; null if undecided.")]
    email_id: Annotated[Id | None, Field(description="ID of the matched email.")]
    user_id: Id | None
    created_at: Time
    updated_at: Time


class DonationList(ResponseModel):
    data: list[DonationOut]
    next_cursor: str | None


class DonationFilters(FilterQuery):
    fundraiser_id: Id | MISSING = MISSING
    user_id: Id | MISSING = MISSING
    email_id: Id | MISSING = MISSING
    status: DonationStatus | MISSING = MISSING
    match: MatchKind | MISSING = MISSING
    external_id: Text | MISSING = MISSING


class DonationQuery(DonationFilters, ListQuery):
    sort: Literal["created_at", "-created_at", "donated_at", "-donated_at", "amount", "-amount"] = (
        "-created_at"
    )


class Donations:
    """/v1/donations and /v1/donations/{id}"""

    @operation("List donations", scope="read", query=DonationQuery, answers={200: DonationList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: DonationQuery) -> None:
        answer_page(req, resp, Donation, DonationOut, query)

    @operation(
        "Create a donation",
        scope="write",
        body=DonationIn,
        answers={201: DonationOut, 200: DonationOut},
        problems=(409,),
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, body: DonationIn) -> None:
        gift, is_new = Donation.give(
            req.context.organization_id,
            id_=req.context.record_id,
            **read_gift(body.model_dump()),
        )
        resp.location = f"{req.path}/{gift['_id']}"
        answer_model(resp, DonationOut, Donation.told(gift), 201 if is_new else 200)

    @operation("Get a donation", scope="read", answers={200: DonationOut})
    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(resp, DonationOut, Donation.fetch(req.context.organization_id, id))

    @operation(
        "Update a donation",
        scope="write",
        body=DonationPatch,
        answers={200: DonationOut},
        problems=(409,),
    )
    def on_patch_one(
        self, req: falcon.Request, resp: falcon.Response, id: str, body: DonationPatch
    ) -> None:
        gift = Donation.fetch(req.context.organization_id, id)
        answer_model(resp, DonationOut, gift.amend(**body.model_dump(exclude_unset=True)))

    @operation("Delete a donation", scope="write", answers={204: None}, problems=(409,))
    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        remove_record(Donation.fetch(req.context.organization_id, id))
        resp.status = 204
