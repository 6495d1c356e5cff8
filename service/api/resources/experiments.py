"""Experiments: the arms of a mailing, what they received and what they gave."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated

import falcon
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from documents.experiment import (
    DEFAULT_WINDOW_DAYS,
    MAX_ARM_WEIGHT,
    MAX_ARMS,
    MAX_WINDOW_DAYS,
)
from documents.experiment_changes import remove_experiment, set_experiment
from documents.mailing import Mailing
from documents.reports.experiment import ExperimentReport, build_experiment_report
from documents.reports.experiment_figures import VerdictFigures
from documents.rows.experiment import OutcomeScope
from documents.values.validators import check_line
from service.api.fields import Id, Name, RequestModel, ResponseModel, Time, Totals
from service.api.operation import answer_model, operation
from service.api.resources.experiment_figures import ComparisonOut, Estimated, VerdictOut
from service.api.resources.experiment_values import ExperimentQuery, ExperimentValues
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
    bool, Field(description="True if the recipients of this arm must not get the mailing.")
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


OpenRecipients = Annotated[
    int, Field(description="Recipients whose window ends today (UTC) or later.")
]


class ArmIn(RequestModel):
    # A form cannot send a line break as it is.
    name: Annotated[Name, AfterValidator(check_line)]
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
    """An experiment. After its first email, arms can be added and weights can change.

    Other changes are a conflict then.
    """

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
    open_recipients: OpenRecipients
    delivered: Annotated[
        int, Field(description="Emails that arrived. In a held-out arm, they were sent by mistake.")
    ]
    opened: int
    clicked: int
    givers: Annotated[int, Field(description="Recipients with a donation in the window.")]
    raised: Annotated[
        Totals,
        Field(description="Donations of recipients in the window, whatever email they match."),
    ]
    credited: Annotated[
        Totals, Field(description="Donations that match the arm's emails, in the window or not.")
    ]
    response_rate: Annotated[Estimated, Field(description="Givers per recipient, from 0 to 1.")]
    raised_per_recipient: Annotated[
        dict[str, Estimated], Field(description="Minor units per recipient, by currency.")
    ]
    comparison: Annotated[
        ComparisonOut | None, Field(description="The arm beside the baseline, whose own is null.")
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
    baseline: Annotated[
        str, Field(description="Arm that others are compared with: the holdout, or the first arm.")
    ]
    open_recipients: OpenRecipients
    verdict: Annotated[VerdictOut, Field(description="The clearest verdict of the arms.")]
    as_of: Time
    unsettled: Unsettled
    segments: Annotated[ExperimentValues | None, Field(description="Null without `by`.")]


class Experiments:
    """/v1/mailings/{id}/experiment

    Args:
        write_verdict: returns the sentence of a verdict.
    """

    def __init__(self, write_verdict: Callable[[VerdictFigures], str]) -> None:
        self._write_verdict = write_verdict

    @operation(
        "Get a mailing's experiment",
        scope="read",
        query=ExperimentQuery,
        answers={200: ExperimentOut},
    )
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: ExperimentQuery
    ) -> None:
        self._answer(resp, Mailing.fetch(req.context.organization_id, id), query.attribute)

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
        self._answer(resp, Mailing.fetch(req.context.organization_id, id))

    @operation("Remove a mailing's experiment", scope="write", answers={204: None}, problems=(409,))
    def on_delete(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        remove_experiment(Mailing.fetch(req.context.organization_id, id))
        resp.status = 204

    def _answer(self, resp: falcon.Response, mailing: Mailing, by: str | None = None) -> None:
        report = build_experiment_report(mailing, by)
        for verdict in _list_verdicts(report):
            verdict["sentence"] = self._write_verdict(verdict)
        answer_model(resp, ExperimentOut, report)


def _list_verdicts(report: ExperimentReport) -> Iterator[VerdictFigures]:
    yield report["verdict"]
    for arm in report["arms"]:
        if arm["comparison"]:
            yield arm["comparison"]["verdict"]
    for value in report["segments"]["values"] if report["segments"] else ():
        for part in value["arms"]:
            if part["comparison"]:
                yield part["comparison"]["verdict"]
