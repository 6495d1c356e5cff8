"""The match policies of organizations and fundraisers, for donations that do not name an email."""

from datetime import timedelta
from typing import Annotated, Any, Literal

import falcon
from bson import ObjectId
from mongoengine import get_db
from pydantic import MISSING, AfterValidator, Field
from pydantic_core import PydanticCustomError

from documents.fundraiser import Fundraiser
from documents.matching.policy import MatchPolicy, TouchKind
from documents.matching.policy_version import PolicyVersion, find_effective_policy
from jobs.tasks import build_settling_policy
from matchback.engine import Tx
from service.api.fields import RequestModel, ResponseModel
from service.api.operation import answer_model, operation

DAY_SECONDS = 24 * 60 * 60
MAX_WINDOW_SECONDS = 3650 * DAY_SECONDS


def _each_once(prefer: list[TouchKind]) -> list[TouchKind]:
    if len(set(prefer)) != len(prefer):
        raise PydanticCustomError("repeated", "Each value must appear at most once.")
    return prefer


Window = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_WINDOW_SECONDS,
        description="Time after an email in which a donation can match it, in seconds.",
    ),
]
Prefer = Annotated[
    list[TouchKind],
    Field(
        min_length=1,
        max_length=3,
        description="Accepted engagement, in order of preference. Omitted values are not matched.",
    ),
    AfterValidator(_each_once),
]
WhichTouch = Annotated[
    Literal["first", "last"], Field(description="Email to choose among equals, by sending time.")
]
OtherFundraiser = Annotated[
    Literal["note", "match"],
    Field(
        description="Treatment of a donation that names another fundraiser's email. `note` "
        "matches by the donor's address, `match` matches the named email."
    ),
]


class PolicyIn(RequestModel):
    """A match policy. Omitted fields have default values."""

    window_seconds: Window | MISSING = MISSING
    prefer: Prefer = ["clicked", "opened", "sent"]
    touch: WhichTouch = "last"
    other_fundraiser: OtherFundraiser = "note"


class PolicyOut(ResponseModel):
    window_seconds: int
    prefer: list[TouchKind]
    touch: WhichTouch
    other_fundraiser: OtherFundraiser
    scope: Annotated[
        Literal["default", "organization", "fundraiser"],
        Field(description="Level at which the policy is set."),
    ]
    version: Annotated[
        int, Field(description="Version number, increased by each change; 0 is the default policy.")
    ]


class OrganizationPolicy:
    """/v1/match-policy"""

    @operation("Get the match policy", scope="read", answers={200: PolicyOut})
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _answer(resp, find_current_policy(req.context.organization_id, None))

    @operation(
        "Set the match policy for future matches",
        scope="admin",
        body=PolicyIn,
        answers={200: PolicyOut},
        problems=(409,),
    )
    def on_put(self, req: falcon.Request, resp: falcon.Response, body: PolicyIn) -> None:
        _answer(resp, PolicyVersion.set(req.context.organization_id, None, read_policy(body)))

    @operation(
        "Reset the match policy to the default",
        scope="admin",
        answers={204: None},
        problems=(404, 409),
    )
    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        PolicyVersion.remove(req.context.organization_id, None)
        resp.status = 204


class FundraiserPolicy:
    """/v1/fundraisers/{id}/match-policy"""

    @operation("Get a fundraiser's match policy", scope="read", answers={200: PolicyOut})
    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        _answer(resp, find_current_policy(fundraiser.organization_id, fundraiser.id))

    @operation(
        "Set a fundraiser's match policy for future matches",
        scope="admin",
        body=PolicyIn,
        answers={200: PolicyOut},
        problems=(409,),
    )
    def on_put(self, req: falcon.Request, resp: falcon.Response, id: str, body: PolicyIn) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        _answer(
            resp, PolicyVersion.set(fundraiser.organization_id, fundraiser.id, read_policy(body))
        )

    @operation(
        "Remove a fundraiser's match policy", scope="admin", answers={204: None}, problems=(409,)
    )
    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        PolicyVersion.remove(fundraiser.organization_id, fundraiser.id)
        resp.status = 204


def find_current_policy(organization_id: ObjectId, fundraiser_id: ObjectId | None) -> MatchPolicy:
    """Return the policy that applies now."""
    return find_effective_policy(
        Tx(get_db()), organization_id, fundraiser_id, build_settling_policy().matching
    )


def read_policy(body: PolicyIn) -> MatchPolicy:
    """Return the policy of a request."""
    seconds = body.window_seconds
    return MatchPolicy(
        window=build_settling_policy().matching.window
        if seconds is MISSING
        else timedelta(seconds=seconds),
        prefer=tuple(body.prefer),
        touch=body.touch,
        other_fundraiser=body.other_fundraiser,
    )


def _answer(resp: falcon.Response, held: MatchPolicy) -> None:
    values: dict[str, Any] = {**vars(held), "window_seconds": int(held.window.total_seconds())}
    answer_model(resp, PolicyOut, values)
