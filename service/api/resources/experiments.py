"""Experiments: the arms of a mailing, what they received and what they gave."""

from collections import Counter
from typing import Annotated

import falcon
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from documents.experiment import (
    DEFAULT_WINDOW_DAYS,
    MAX_ARM_WEIGHT,
    MAX_ARMS,
    MAX_WINDOW_DAYS,
    remove_experiment,
    set_experiment,
)
from documents.mailing import Mailing
from documents.reports.experiment import build_experiment_report
from documents.rows.experiment import OutcomeScope
from service.api.fields import Id, Name, RequestModel, ResponseModel, Time, Totals
from service.api.operation import answer_model, operation
from service.api.resources.reports import Unsettled

Weight = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_ARM_WEIGHT,
        description="Share of the recipients, relative to the other arms; 0 adds no recipients.",
    ),
]
HeldOut = Annotated[
    bool, Field(description="Whether the recipients of this arm must not get the mailing.")
]
WindowDays = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_WINDOW_DAYS,
        description="Days after the mailing's time in which a donation counts for an arm.",
    ),
]
Scope = Annotated[
    OutcomeScope,
    Field(
        description="Which donations count: those to the mailing's fundraiser, or those to every "
        "fundraiser of the organization."
    ),
]


class ArmIn(RequestModel):
    name: Name
    weight: Weight
    held_out: HeldOut = False


def _check_arms(arms: list[ArmIn]) -> list[ArmIn]:
    names = Counter(arm.name for arm in arms)
    if len(names) < len(arms):
        raise PydanticCustomError("repeated", "Each arm must have its own name.")
    if not any(arm.weight for arm in arms):
        raise PydanticCustomError("weights", "At least one arm must have a weight above 0.")
    return arms


class ExperimentIn(RequestModel):
    """An experiment. After its first email, arms can be added and weights can change."""

    arms: Annotated[
        list[ArmIn], Field(min_length=2, max_length=MAX_ARMS), AfterValidator(_check_arms)
    ]
    window_days: WindowDays = DEFAULT_WINDOW_DAYS
    scope: Scope = "fundraiser"


class ArmOut(ResponseModel):
    """An arm by intention to treat: `recipients` and `givers` include emails never sent."""

    name: str
    weight: Weight
    held_out: HeldOut
    recipients: int
    delivered: int
    opened: int
    clicked: int
    givers: Annotated[int, Field(description="Recipients with a donation in the window.")]
    raised: Annotated[
        Totals,
        Field(description="Donations of recipients in the window, whatever email they match."),
    ]


class ExperimentOut(ResponseModel):
    mailing_id: Id
    arms: list[ArmOut]
    window_days: WindowDays
    scope: Scope
    version: Annotated[int, Field(description="Version number, increased by each change.")]
    started_at: Annotated[
        Time | None, Field(description="Time of the first email with an arm; null before it.")
    ]
    updated_at: Time
    as_of: Time
    unsettled: Unsettled


class Experiments:
    """/v1/mailings/{id}/experiment"""

    @operation("Get a mailing's experiment", scope="read", answers={200: ExperimentOut})
    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        _answer(resp, Mailing.fetch(req.context.organization_id, id))

    @operation(
        "Set a mailing's experiment",
        scope="write",
        body=ExperimentIn,
        answers={200: ExperimentOut},
        problems=(409,),
    )
    def on_put(
        self, req: falcon.Request, resp: falcon.Response, id: str, body: ExperimentIn
    ) -> None:
        mailing = Mailing.fetch(req.context.organization_id, id)
        set_experiment(mailing, body.model_dump())
        _answer(resp, Mailing.fetch(req.context.organization_id, id))

    @operation("Remove a mailing's experiment", scope="write", answers={204: None}, problems=(409,))
    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        remove_experiment(Mailing.fetch(req.context.organization_id, id))
        resp.status = 204


def _answer(resp: falcon.Response, mailing: Mailing) -> None:
    answer_model(resp, ExperimentOut, build_experiment_report(mailing))
