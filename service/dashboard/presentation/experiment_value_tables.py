"""The table of an experiment by the values of an attribute, as texts. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from documents.reports.experiment_figures import EffectFigures, Estimated
from documents.reports.experiment_values import ExperimentValue, ExperimentValues, ValueArm
from service.dashboard.presentation.experiment_tables import (
    Scale,
    ShownEstimate,
    show_money,
    show_points,
    show_signed,
)
from service.dashboard.presentation.formats import Formats


@dataclass(frozen=True)
class ShownEffect:
    """A figure of an arm, and its difference from the baseline if there is a comparison."""

    value: str
    difference: ShownEstimate | None


@dataclass(frozen=True)
class ValueRow:
    """An arm for one value.

    Attributes:
        is_first: whether this is the value's first row.
        lift: of the response rate.
        money: by currency.
    """

    kind: str
    value: str | None
    is_first: bool
    arm: str
    is_baseline: bool
    is_compared: bool
    recipients: int
    givers: int
    response: ShownEffect
    lift: ShownEstimate | None
    money: dict[str, ShownEffect]


def list_value_rows(table: ExperimentValues, baseline: str, formats: Formats) -> Iterator[ValueRow]:
    """Yield a row for each value and arm. Each kind of difference has one scale."""
    differences: dict[str | None, list[Estimated]] = {}
    lifts: list[Estimated] = []
    for _, arm in _list_arms(table):
        for code, effect in _list_effects(arm).items():
            differences.setdefault(code, []).append(effect["difference"])
        if lift := _read_lift(arm):
            lifts.append(lift)
    scales = {code: Scale(found) for code, found in differences.items()}
    lift_scale, percent = Scale(lifts), show_signed(formats.percent)
    for value, arm in _list_arms(table):
        effects, lift = _list_effects(arm), _read_lift(arm)

        def show(
            code: str | None, effects: dict[str | None, EffectFigures]
        ) -> ShownEstimate | None:
            if code not in effects:
                return None
            shown = show_signed(show_money(formats, code)) if code else show_points(formats)
            return scales[code].show(effects[code]["difference"], shown, formats)

        rate = arm["response_rate"]
        yield ValueRow(
            kind=value["kind"],
            value=value["value"],
            is_first=arm is value["arms"][0],
            arm=arm["name"],
            is_baseline=arm["name"] == baseline,
            is_compared=arm["comparison"] is not None,
            recipients=arm["recipients"],
            givers=arm["givers"],
            response=ShownEffect(
                formats.fine_percent(rate) if rate is not None else "–", show(None, effects)
            ),
            lift=lift_scale.show(lift, percent, formats) if lift else None,
            money={
                code: ShownEffect(show_money(formats, code)(amount), show(code, effects))
                for code, amount in arm["raised_per_recipient"].items()
            },
        )


def _list_arms(table: ExperimentValues) -> Iterator[tuple[ExperimentValue, ValueArm]]:
    return ((value, arm) for value in table["values"] for arm in value["arms"])


def _list_effects(arm: ValueArm) -> dict[str | None, EffectFigures]:
    """Return the effects by currency; None is the response rate."""
    if (comparison := arm["comparison"]) is None:
        return {}
    effects: dict[str | None, EffectFigures] = {None: comparison["response"]}
    effects.update(comparison["raised"])
    return effects


def _read_lift(arm: ValueArm) -> Estimated | None:
    comparison = arm["comparison"]
    return comparison["response"]["lift"] if comparison else None
