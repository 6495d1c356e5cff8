"""The figures of an experiment as texts, and the places of their intervals in a drawing. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from documents.reports.experiment import ArmReport, ExperimentReport
from documents.reports.experiment_figures import EffectFigures, Estimated, VerdictFigures
from service.dashboard.presentation.experiment_sentences import write_verdict
from service.dashboard.presentation.formats import Formats

Format = Callable[[float], str]


@dataclass(frozen=True)
class IntervalPlaces:
    """Places from 0 to 100. An open end means that the interval continues."""

    low: float
    high: float
    value: float
    zero: float
    is_low_open: bool
    is_high_open: bool


@dataclass(frozen=True)
class ShownEstimate:
    """A figure and its interval. Nothing is drawn if the interval has no end."""

    value: str
    interval: str
    places: IntervalPlaces | None


@dataclass(frozen=True)
class CreditedRow:
    """The money credited to an arm beside the money that it caused, in one currency.

    Attributes:
        share: credited, from 0 to 100 on the scale of `caused`.
        start: place of zero on that scale.
    """

    arm: str
    currency: str
    credited: str
    caused: ShownEstimate
    start: float
    share: float


@dataclass(frozen=True)
class DifferenceRow:
    """A figure of an arm minus that of the baseline."""

    arm: str
    currency: str | None
    difference: ShownEstimate
    lift: ShownEstimate | None


def list_sentences(report: ExperimentReport, formats: Formats) -> list[str]:
    """Return the sentences about all arms, the report's verdict first."""
    first = report["verdict"]
    rest = [one for one in _list_verdicts(report) if one["arm"] != first["arm"]]
    return [write_verdict(one, formats) for one in (first, *rest)]


def list_credited_rows(report: ExperimentReport, formats: Formats) -> list[CreditedRow]:
    rows: list[CreditedRow] = []
    for arm, effects in _list_effects(report):
        for code, caused in effects.items():
            credited = arm["credited"].get(code, 0)
            scale = Scale([caused], [float(credited)])
            rows.append(
                CreditedRow(
                    arm["name"],
                    code,
                    formats.money(credited, code),
                    scale.show(caused, show_money(formats, code), formats),
                    scale.place(0),
                    scale.place(credited) - scale.place(0),
                )
            )
    return rows


def list_rates(report: ExperimentReport, formats: Formats) -> list[ShownEstimate]:
    """Return the response rate of each arm, drawn on one scale."""
    rates = [arm["response_rate"] for arm in report["arms"]]
    scale = Scale(rates)
    return [scale.show(rate, formats.fine_percent, formats) for rate in rates]


def list_money(report: ExperimentReport, formats: Formats) -> list[dict[str, ShownEstimate]]:
    """Return the money per recipient of each arm, with one scale for each currency."""
    figures = [arm["raised_per_recipient"] for arm in report["arms"]]
    scales = {code: Scale([one[code] for one in figures]) for code in figures[0]}
    return [
        {
            code: scale.show(one[code], show_money(formats, code), formats)
            for code, scale in scales.items()
        }
        for one in figures
    ]


def list_differences(report: ExperimentReport, formats: Formats) -> list[DifferenceRow]:
    """Return the difference of response rates and of money of each arm."""
    compared = [(arm["name"], one) for arm in report["arms"] if (one := arm["comparison"])]
    rows: list[DifferenceRow] = []
    for name, comparison in compared:
        effects: dict[str | None, EffectFigures] = {None: comparison["response"]}
        effects.update(comparison["raised"])
        for code, effect in effects.items():
            shown = show_signed(show_money(formats, code)) if code else show_points(formats)
            lift = effect["lift"]
            rows.append(
                DifferenceRow(
                    name,
                    code,
                    Scale([effect["difference"]]).show(effect["difference"], shown, formats),
                    Scale([lift]).show(lift, show_signed(formats.percent), formats)
                    if lift
                    else None,
                )
            )
    return rows


class Scale:
    """The common scale of some figures, which contains zero and every bound."""

    def __init__(self, figures: Sequence[Estimated], more: Sequence[float] = ()) -> None:
        ends = [one[name] for one in figures for name in ("value", "low", "high")]
        known = [0.0, *(end for end in ends if end is not None), *more]
        self.low, self.high = min(known), max(known)

    def place(self, value: float) -> float:
        length = self.high - self.low
        return round(100 * (value - self.low) / length, 2) if length else 0.0

    def show(self, figure: Estimated, shown: Format, formats: Formats) -> ShownEstimate:
        return ShownEstimate(
            shown(figure["value"]), _describe(figure, shown, formats), self._draw(figure)
        )

    def _draw(self, figure: Estimated) -> IntervalPlaces | None:
        low, high = figure["low"], figure["high"]
        if low is None and high is None:
            return None
        return IntervalPlaces(
            self.place(self.low if low is None else low),
            self.place(self.high if high is None else high),
            self.place(figure["value"]),
            self.place(0),
            low is None,
            high is None,
        )


def _describe(figure: Estimated, shown: Format, formats: Formats) -> str:
    said = formats.language.gettext
    low, high = figure["low"], figure["high"]
    if low is None and high is None:
        return said("No limits yet")
    if low is None:
        return said("At most %(high)s") % {"high": shown(high or 0)}
    if high is None:
        return said("At least %(low)s") % {"low": shown(low)}
    return said("%(low)s to %(high)s") % {"low": shown(low), "high": shown(high)}


def show_money(formats: Formats, code: str) -> Format:
    return lambda amount: formats.money(amount, code)


def show_points(formats: Formats) -> Format:
    """Format a difference of two rates in percentage points."""
    return show_signed(lambda fraction: formats.number(round(100 * fraction, 2)))


def show_signed(shown: Format) -> Format:
    return lambda value: ("+" if value > 0 else "") + shown(value)


def _list_verdicts(report: ExperimentReport) -> list[VerdictFigures]:
    return [one["verdict"] for arm in report["arms"] if (one := arm["comparison"])]


def _list_effects(report: ExperimentReport) -> list[tuple[ArmReport, dict[str, Estimated]]]:
    return [
        (arm, {code: effect["caused"] for code, effect in one["raised"].items()})
        for arm in report["arms"]
        if (one := arm["comparison"])
    ]
