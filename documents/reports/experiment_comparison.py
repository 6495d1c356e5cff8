"""The arms of an experiment beside its baseline, in the form that the report has. Pure."""

from collections.abc import Sequence

from documents.experiment import find_baseline_arm
from documents.experiments.planner import Design
from documents.experiments.report import (
    Comparison,
    Effect,
    compare_raised,
    compare_response,
    count_intervals,
)
from documents.experiments.verdict import Standing, Verdict, VerdictKind, judge
from documents.reports.counted_arms import CountedArm
from documents.reports.experiment_figures import (
    AMOUNT_DECIMALS,
    RATE_DECIMALS,
    ComparisonFigures,
    VerdictFigures,
    describe_effect,
    describe_interval,
)

DECIDED = (VerdictKind.CAUSED, VerdictKind.AGAINST)


def find_baseline(arms: Sequence[CountedArm]) -> CountedArm:
    """Return the holdout; without one, the first arm."""
    definition = find_baseline_arm([arm.definition for arm in arms])
    return next(arm for arm in arms if arm.definition is definition)


def list_currencies(arms: Sequence[CountedArm]) -> list[str]:
    """Return the currencies of gifts in the window, those with most givers first."""
    codes = {code for arm in arms for code in arm.money}
    return sorted(codes, key=lambda code: (-_count_givers(arms, code), code))


def compare_with_baseline(
    arm: CountedArm, arms: Sequence[CountedArm], currencies: Sequence[str], comparisons: int
) -> ComparisonFigures:
    """Return the arm beside the baseline, with its verdict.

    Args:
        currencies: those of the whole report.
        comparisons: of two arms, in the whole report. All of them share the error.
    """
    baseline = find_baseline(arms)
    questions = count_intervals(comparisons, max(1, len(currencies)))
    response = compare_response(arm.response, baseline.response, questions)
    raised = {
        code: compare_raised(arm.in_currency(code), baseline.in_currency(code), questions)
        for code in currencies
    }
    return {
        "baseline": baseline.name,
        "response": describe_effect(response, RATE_DECIMALS),
        "raised": {code: describe_effect(one, AMOUNT_DECIMALS) for code, one in raised.items()},
        "verdict": _judge_arm(arm, arms, response, raised, comparisons),
    }


def choose_leading_verdict(verdicts: Sequence[VerdictFigures]) -> VerdictFigures:
    """Return the verdict to show first: the surest effect, otherwise the one to wait for."""

    def rank(verdict: VerdictFigures) -> tuple[bool, bool, float]:
        ends = [abs(end) for end in (verdict["low"], verdict["high"]) if end is not None]
        surest = min(ends, default=verdict["more_recipients"] or 0)
        return verdict["kind"] in DECIDED, verdict["figure"] == "raised", surest

    return max(verdicts, key=rank)


def _judge_arm(
    arm: CountedArm,
    arms: Sequence[CountedArm],
    response: Effect,
    raised: dict[str, Effect],
    comparisons: int,
) -> VerdictFigures:
    """Return the first verdict that money decides; if there is none, the first."""
    baseline = find_baseline(arms)
    found: list[tuple[str | None, Verdict]] = [
        (code, judge(Comparison(response, effect), _stand(arm, arms, code, comparisons)))
        for code, effect in raised.items()
    ]
    if not found:  # no gifts
        nothing = compare_raised(arm.in_currency(""), baseline.in_currency(""), 1)
        found = [(None, judge(Comparison(response, nothing), _stand(arm, arms, "", comparisons)))]
    by_money = [one for one in found if one[1].figure == "raised"]
    currency, verdict = next(iter(by_money), found[0])
    low, high = (
        describe_interval(verdict.interval, AMOUNT_DECIMALS) if verdict.interval else (None,) * 2
    )
    return {
        "arm": arm.name,
        "baseline": baseline.name,
        "has_holdout": baseline.definition["held_out"],
        "kind": verdict.kind,
        "figure": verdict.figure,
        "currency": currency if verdict.figure == "raised" else None,
        "low": low,
        "high": high,
        "credited": verdict.credited if verdict.figure == "raised" else None,
        "more_recipients": verdict.more_recipients,
        "open_recipients": verdict.open_recipients,
        "smallest_difference": verdict.smallest_difference,
        "largest_difference": verdict.largest_difference,
        "opposite_currencies": [
            code for code, one in by_money if code is not None and one.kind != verdict.kind
        ],
    }


def _stand(
    arm: CountedArm, arms: Sequence[CountedArm], currency: str, comparisons: int
) -> Standing:
    baseline = find_baseline(arms)
    return Standing(
        arm=arm.response,
        baseline=baseline.response,
        design=Design(_list_weights(arms, baseline), count_intervals(comparisons)),
        recipients=sum(one.response.recipients for one in arms),
        open_recipients=sum(one.open_recipients for one in arms),
        credited=arm.credited.get(currency, 0),
    )


def _list_weights(arms: Sequence[CountedArm], baseline: CountedArm) -> list[float]:
    """Return the sizes of the arms, the baseline first. An ended arm has the weight 0."""
    ordered = [baseline, *(arm for arm in arms if arm is not baseline)]
    if all(arm.definition["weight"] for arm in ordered):
        return [arm.definition["weight"] for arm in ordered]
    return [max(1, arm.response.recipients) for arm in ordered]


def _count_givers(arms: Sequence[CountedArm], currency: str) -> int:
    return sum(arm.in_currency(currency).givers for arm in arms)
