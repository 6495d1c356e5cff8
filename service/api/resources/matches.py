"""Matches: the email of a gift, the reasons, and the choice of staff."""

from typing import Annotated, Any, Literal

import falcon
from pydantic import Field

from documents.donation import Donation
from documents.matching.past_match import PastMatch
from documents.matching.policy import TouchKind as AnyTouch
from documents.matching.rules import MatchKind, MatchRule
from service.api.fields import Id, RequestModel, ResponseModel, Text, Time
from service.api.operation import answer_model, operation

RuleOut = Annotated[
    MatchRule, Field(description="By which rule, in the order in which they are tried")
]
BestTouch = Annotated[
    AnyTouch | None,
    Field(description="The best thing that the donor did with the email before the gift"),
]


class Considered(ResponseModel):
    email_id: Id
    reason: Annotated[str, Field(description="Why it was chosen, or why not")]


class PolicyReference(ResponseModel):
    """Whose policy it was, and which version of it."""

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
    email_id: Annotated[Id | None, Field(description="Null: no email led to it")]
    at: Time


class MatchOut(Decided):
    pending: Annotated[bool, Field(description="It is being decided, or decided anew")]
    pin: Annotated[PinOut | None, Field(description="What staff said by hand")]
    follows: Annotated[Id | None, Field(description="The first instalment, of which it follows")]
    history: Annotated[
        list[Replaced],
        Field(description="What it was matched to before, the latest first; 100 at the most"),
    ]


class PinIn(RequestModel):
    email_id: Annotated[
        Text | None,
        Field(description="An email of the organization, by id or link_token; null: none"),
    ]


class Matches:
    """/v1/donations/{id}/match"""

    @operation("Why this email", scope="read", answers={200: MatchOut})
    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(
            resp, MatchOut, describe_match(Donation.fetch(req.context.organization_id, id))
        )

    @operation(
        "Pin a gift's email by hand",
        scope="write",
        body=PinIn,
        answers={200: MatchOut},
        problems=(409,),
    )
    def on_put(self, req: falcon.Request, resp: falcon.Response, id: str, body: PinIn) -> None:
        gift = Donation.fetch(req.context.organization_id, id)
        answer_model(resp, MatchOut, describe_match(gift.pin_to(body.email_id)))

    @operation(
        "Unpin: let the rules decide", scope="write", answers={200: MatchOut}, problems=(409,)
    )
    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        gift = Donation.fetch(req.context.organization_id, id)
        answer_model(resp, MatchOut, describe_match(gift.unpin()))


def describe_match(gift: Donation) -> dict[str, Any]:
    """A gift's decision as it is kept, or nothing while there is none, and those before it."""
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
