"""Matches: the email of a donation, the reasons, and the choice of staff."""

from typing import Annotated, Any, Literal

import falcon
from pydantic import Field

from documents.donation import Donation
from documents.matching.past_match import PastMatch
from documents.matching.policy import TouchKind as AnyTouch
from documents.matching.rules import MatchKind, MatchRule
from service.api.fields import Id, RequestModel, ResponseModel, Text, Time
from service.api.operation import answer_model, operation

RuleOut = Annotated[MatchRule, Field(description="Rule that decided, in order of precedence.")]
BestTouch = Annotated[
    AnyTouch | None,
    Field(description="Best engagement of the donor with the email before the donation."),
]


class Considered(ResponseModel):
    email_id: Id
    reason: Annotated[str, Field(description="Reason for choosing or not choosing this email.")]


class PolicyReference(ResponseModel):
    """The level and version of the policy that decided."""

    scope: Literal["default", "organization", "fundraiser"]
    version: int


class Decided(ResponseModel):
    match: MatchKind | None
    email_id: Id | None
    rule: RuleOut | None = None
    touch: BestTouch = None
    note: str | None = None
    window_seconds: int | None = None
    policy: PolicyReference | None = None
    considered: list[Considered] = []
    decided_at: Time | None = None


class Replaced(Decided):
    replaced_at: Time


class PinOut(ResponseModel):
    email_id: Annotated[
        Id | None,
        Field(description="ID of the pinned email; null if no email led to the donation."),
    ]
    at: Time


class MatchOut(Decided):
    pending: Annotated[bool, Field(description="True while matching is in progress.")]
    pin: Annotated[PinOut | None, Field(description="The choice of staff.")]
    follows: Annotated[
        Id | None, Field(description="ID of the first instalment, whose match applies.")
    ]
    history: Annotated[
        list[Replaced],
        Field(description="Earlier matches, latest first, at most 100."),
    ]


class PinIn(RequestModel):
    email_id: Annotated[
        Text | None,
        Field(description="ID or link_token of the email; null if no email led to it."),
    ]


class Matches:
    """/v1/donations/{id}/match"""

    @operation("Get a donation's match", scope="read", answers={200: MatchOut})
    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(
            resp, MatchOut, describe_match(Donation.fetch(req.context.organization_id, id))
        )

    @operation(
        "Pin a donation to an email",
        scope="write",
        body=PinIn,
        answers={200: MatchOut},
        problems=(409,),
    )
    def on_put(self, req: falcon.Request, resp: falcon.Response, id: str, body: PinIn) -> None:
        gift = Donation.fetch(req.context.organization_id, id)
        answer_model(resp, MatchOut, describe_match(gift.pin_to(body.email_id)))

    @operation("Unpin a donation", scope="write", answers={200: MatchOut}, problems=(409,))
    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        gift = Donation.fetch(req.context.organization_id, id)
        answer_model(resp, MatchOut, describe_match(gift.unpin()))


def describe_match(gift: Donation) -> dict[str, Any]:
    """Return the donation's current decision, if any, and its earlier decisions."""
    past = PastMatch.of(gift.organization_id, gift.id)
    return {
        **_decided(gift),
        "pending": gift.is_pending,
        "pin": gift.pin,
        "follows": gift.follows,
        "history": [{**_decided(one), "replaced_at": one.replaced_at} for one in past],
    }


def _decided(of: Donation | PastMatch) -> dict[str, Any]:
    return {"match": of.match, "email_id": of.email_id, **(of.decision or {})}
