"""The page of a mailing's experiment: its result, its arms, and the planner."""

from collections.abc import Iterator
from typing import Annotated, Any

import falcon
from pydantic import Field

from documents.errors import Conflict
from documents.experiment import (
    DEFAULT_WINDOW_DAYS,
    MAX_ARM_WEIGHT,
    MAX_ARMS,
    MAX_WINDOW_DAYS,
    find_baseline_arm,
)
from documents.experiment_changes import remove_experiment, set_experiment
from documents.experiments.planner import Design, SampleSize, plan_response
from documents.experiments.report import count_questions
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.reports.experiment import ExperimentReport, build_experiment_report
from documents.rows.experiment import StoredArm, StoredExperiment
from documents.values.attributes import MAILBOX_PROVIDER, AttributeName
from documents.values.validation import validate_value
from service.api.resources.experiments import ExperimentIn
from service.dashboard.forms import Form
from service.dashboard.page import form, page, redirect_to
from service.dashboard.presentation import experiment_tables, experiment_value_tables
from service.dashboard.presentation.formats import Formats
from service.dashboard.presentation.language import marked
from service.dashboard.queries import PageQuery, format_watch
from service.dashboard.render import formats_for, render_page

EMPTY_ARMS_SHOWN = 2
MAX_DIGITS = 10
DEFAULT_RATE_PERCENT, DEFAULT_POINTS = 2.0, 1.0
DEFAULT_ARMS = [
    {"name": "", "weight": 9, "held_out": False},
    {"name": "", "weight": 1, "held_out": True},
]
EXPERIMENT_MESSAGES = {
    "saved": marked("Experiment saved. The next emails of the mailing get their arms."),
    "removed": marked("Experiment removed."),
}
SCOPE_LABELS = {
    "fundraiser": marked("Gifts to this fundraiser"),
    "organization": marked("Gifts to all fundraisers"),
}
ALREADY_STARTED = marked(
    "The experiment has started, so you can only change weights and add arms. Other changes would "
    "mix results that cannot be compared. Load the page again."
)


class ExperimentQuery(PageQuery):
    """The planner's form. Rates are in percent, and differences in percentage points."""

    rate: Annotated[float, Field(gt=0, lt=100)] = DEFAULT_RATE_PERCENT
    points: Annotated[float, Field(ge=0.001, le=100)] = DEFAULT_POINTS
    by: AttributeName = MAILBOX_PROVIDER
    done: str = ""


class ExperimentPages:
    """/dashboard/mailings/{id}/experiment"""

    @page(query=ExperimentQuery)
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: ExperimentQuery
    ) -> None:
        mailing = Mailing.fetch(req.context.organization_id, id)
        experiment: StoredExperiment | None = mailing.experiment
        report = build_experiment_report(mailing, query.by) if experiment else None
        arms = _order_arms(experiment)
        plan = _plan(query, [arm["weight"] for arm in arms])
        render_page(
            req,
            resp,
            "experiment.html",
            mailing=mailing,
            fundraiser=Fundraiser.fetch(mailing.organization_id, mailing.fundraiser_id),
            report=report,
            query=query,
            plan=plan,
            plan_parts=_list_parts(req, plan, arms),
            form_arms=_list_form_arms(experiment),
            limits={"arms": MAX_ARMS, "weight": MAX_ARM_WEIGHT, "days": MAX_WINDOW_DAYS},
            default_days=DEFAULT_WINDOW_DAYS,
            scopes=SCOPE_LABELS,
            done=EXPERIMENT_MESSAGES.get(query.done, ""),
            watch=format_watch(mailings=[mailing.id], fundraisers=[mailing.fundraiser_id]),
            **(_build_tables(req, report) if report else {}),
        )

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        mailing = Mailing.fetch(req.context.organization_id, id)
        try:
            if form.text("remove"):
                remove_experiment(mailing)
            else:
                set_experiment(mailing, _read(form))
        except Conflict:
            raise falcon.HTTPConflict(description=ALREADY_STARTED) from None
        done = "removed" if form.text("remove") else "saved"
        redirect_to(resp, f"/dashboard/mailings/{id}/experiment?done={done}")


def _build_tables(req: falcon.Request, report: ExperimentReport) -> dict[str, Any]:
    formats = formats_for(req)
    money = experiment_tables.list_money(report, formats)
    return {
        "sentences": experiment_tables.list_sentences(report, formats),
        "delivered_held_out": sum(arm["delivered"] for arm in report["arms"] if arm["held_out"]),
        "credited": experiment_tables.list_credited_rows(report, formats),
        "rates": experiment_tables.list_rates(report, formats),
        "money": money,
        "lacks_limits": any(one.places is None for arm in money for one in arm.values()),
        "differences": experiment_tables.list_differences(report, formats),
        "value_rows": list(_list_value_rows(report, formats)),
    }


def _list_value_rows(
    report: ExperimentReport, formats: Formats
) -> Iterator[experiment_value_tables.ValueRow]:
    if table := report["segments"]:
        yield from experiment_value_tables.list_value_rows(table, report["baseline"], formats)


def _read(form: Form) -> dict[str, Any]:
    """Return the form's experiment as the API's model has it. Drop rows without a name."""
    names, weights = form.list_values("arm_name"), form.list_values("arm_weight")
    held_out = form.list_values("held_out")
    arms = [
        {"name": name.strip(), "weight": _to_int(weight), "held_out": str(number) in held_out}
        for number, (name, weight) in enumerate(zip(names, weights, strict=False))
        if name.strip()
    ]
    body = {
        "arms": arms,
        "window_days": _to_int(form.text("window_days")),
        "scope": form.text("scope"),
    }
    return validate_value(ExperimentIn, body).model_dump()


def _to_int(text: str) -> int | str:
    """Return the number; if it is not a whole number, the text, which validation rejects."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < MAX_DIGITS else text


def _order_arms(experiment: StoredExperiment | None) -> list[StoredArm]:
    """Return the arms with recipients, the baseline first."""
    if experiment is None:
        return []
    baseline = find_baseline_arm(experiment["arms"])
    ordered = [baseline, *(arm for arm in experiment["arms"] if arm is not baseline)]
    return [arm for arm in ordered if arm["weight"]]


def _list_form_arms(experiment: StoredExperiment | None) -> list[dict[str, Any]]:
    """Return the arms to show, with empty ones to fill in. A started arm keeps its name."""
    is_fixed = bool(experiment and "started_at" in experiment)
    stored: list[Any] = list(experiment["arms"]) if experiment else list(DEFAULT_ARMS)
    known: list[dict[str, Any]] = [{**arm, "is_fixed": is_fixed} for arm in stored]
    empty = min(EMPTY_ARMS_SHOWN, MAX_ARMS - len(known))
    return known + [{"name": "", "weight": 1, "held_out": False, "is_fixed": False}] * empty


def _plan(query: ExperimentQuery, weights: list[int]) -> SampleSize | None:
    """Return the recipients that the experiment needs; None if no number is enough.

    Without an experiment, plan two arms of the same size.
    """
    weights = weights if len(weights) > 1 else [1, 1]
    design = Design(weights, count_questions(len(weights)))
    try:
        return plan_response(query.rate / 100, query.points / 100, design)
    except ValueError:
        return None


def _list_parts(
    req: falcon.Request, plan: SampleSize | None, arms: list[StoredArm]
) -> list[tuple[str, str]]:
    """Return the name and the size of each arm in the plan."""
    sizes = [formats_for(req).number(size) for size in plan.recipients] if plan else []
    names = [arm["name"] for arm in arms] if len(arms) == len(sizes) else ["1", "2"]
    return list(zip(names, sizes, strict=False))
