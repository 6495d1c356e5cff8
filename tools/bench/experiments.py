"""`python -m tools.bench.experiments`: check the intervals of experiments by simulation.

Each row simulates experiments without an effect, and half as many with one. It reads them after
each batch. The effect is half more givers, who give a tenth more. The last rows simulate
experiments of the planned size. All figures are percent.
"""

import argparse
import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from documents.experiments.planner import Design, GiftSizes, plan_raised, plan_response
from documents.experiments.report import count_questions
from tools.bench.experiment_draws import Gifts, Setting
from tools.bench.experiment_simulation import (
    Tally,
    count_ordinary_alarms,
    find_alarms,
    find_misses,
    simulate,
)

MEDIAN_CENTS = 5_000


def make_lognormal(spread: float) -> Gifts:
    center = math.log(MEDIAN_CENTS)
    return Gifts(
        f"lognormal, spread {spread}",
        lambda random: random.lognormvariate(center, spread),
        mean := MEDIAN_CENTS * math.exp(spread**2 / 2),
        mean * math.sqrt(math.expm1(spread**2)),
    )


def make_pareto(shape: float) -> Gifts:
    least = 2_000
    return Gifts(
        f"Pareto, shape {shape}",
        lambda random: least * random.paretovariate(shape),
        mean := least * shape / (shape - 1),
        mean / math.sqrt(shape * (shape - 2)) if shape > 2 else math.inf,
    )


MILLIONAIRE = Gifts("$50 and one of $1M", lambda random: 5_000, 5_000, 0.0, millionaires=1)
GIFTS = (make_lognormal(1.0), make_lognormal(1.5), make_pareto(2.5), MILLIONAIRE)
INFINITE_VARIANCE = make_pareto(1.5)
HEAVY = make_lognormal(2.5)
HEAVY_AND_MILLIONAIRES = replace(HEAVY, name=f"{HEAVY.name}, three of $1M", millionaires=3)
HALF, TENTH, TWENTIETH = (1, 1), (1, 9), (1, 19)
FOUR_EQUAL, FOUR_SMALL_HOLDOUT = (1, 1, 1, 1), (5, 32, 32, 31)
WEIGHTS = (HALF, TENTH, TWENTIETH, FOUR_EQUAL, FOUR_SMALL_HOLDOUT)

ARRIVING: tuple[Literal["recipients", "gifts"], ...] = ("recipients", "gifts")

SETTINGS = (
    *(
        Setting(gifts, weights, arriving=ARRIVING[(row + column) % 2])
        for row, gifts in enumerate(GIFTS)
        for column, weights in enumerate(WEIGHTS)
    ),
    Setting(GIFTS[0], HALF, rate=0.2, recipients=4_000),
    Setting(GIFTS[0], TENTH, rate=0.2, recipients=4_000),
    Setting(GIFTS[0], TENTH, rate=0.003, recipients=60_000),
    Setting(GIFTS[0], TWENTIETH, rate=0.003, recipients=60_000, arriving="gifts"),
    Setting(INFINITE_VARIANCE, HALF),
    Setting(INFINITE_VARIANCE, TENTH),
    *(
        Setting(HEAVY, weights, arriving=ARRIVING[column % 2])
        for column, weights in enumerate(WEIGHTS)
    ),
    Setting(HEAVY, HALF, recipients=400_000),
    Setting(HEAVY, FOUR_EQUAL, recipients=400_000, arriving="gifts"),
    Setting(HEAVY_AND_MILLIONAIRES, HALF, arriving="gifts"),
    Setting(HEAVY_AND_MILLIONAIRES, TWENTIETH),
    Setting(HEAVY_AND_MILLIONAIRES, FOUR_SMALL_HOLDOUT),
    Setting(GIFTS[0], HALF, rate=0.001, recipients=200_000),
    Setting(GIFTS[0], TWENTIETH, rate=0.001, recipients=400_000, arriving="gifts"),
    Setting(HEAVY, TWENTIETH, rate=0.001, recipients=400_000),
)
HEAD = (
    "gifts | weights | rate | batches of | alarm: response | raised | any "
    "| miss: response | raised | any | arm: response | raised | bias: response | raised"
)


def describe_setting(setting: Setting, experiments: int, seed: int) -> str:
    """Return a row of the table: false alarms without an effect, and misses with one."""
    same = simulate(setting, experiments, seed, find_alarms)
    changed = replace(setting, lift=0.5, size_lift=0.1)
    planted = simulate(changed, experiments // 2, seed + 1, find_misses)
    faults = ("miss response", "miss raised", "miss", "arm response", "arm raised")
    cells = [
        setting.gifts.name,
        ":".join(map(str, setting.weights)),
        f"{setting.rate:.1%}",
        setting.arriving,
        *(f"{same.percent(fault):.1f}" for fault in ("alarm response", "alarm raised", "alarm")),
        *(f"{planted.percent(fault):.1f}" for fault in faults),
        *_describe_bias(changed, planted),
    ]
    return " | ".join(cells)


def _describe_bias(setting: Setting, tally: Tally) -> Iterator[str]:
    """Describe the mean error of the last differences, relative to the truth."""
    share = setting.compute_share(setting.batches)
    truths = (
        (setting.get_rate(1) - setting.rate) * share,
        (setting.get_mean(1) - setting.get_mean(0)) * share,
    )
    for truth, values in zip(truths, (tally.response, tally.raised), strict=True):
        error = statistics.fmean(values) / truth - 1
        noise = statistics.stdev(values) / math.sqrt(len(values)) / truth
        yield f"{100 * error:+.1f} ± {100 * noise:.1f}"


@dataclass(frozen=True)
class PlannedEffect:
    """An effect that a plan must show, and the figure that shows it."""

    figure: Literal["response", "raised"]
    rate: float
    lift: float
    weights: tuple[int, ...]
    gifts: Gifts


PLANNED = (
    PlannedEffect("response", 0.02, 0.5, HALF, GIFTS[0]),
    PlannedEffect("response", 0.02, 0.2, HALF, GIFTS[0]),
    PlannedEffect("response", 0.02, 0.5, TENTH, GIFTS[0]),
    PlannedEffect("response", 0.005, 1.0, TWENTIETH, GIFTS[0]),
    PlannedEffect("response", 0.02, 0.5, FOUR_EQUAL, GIFTS[0]),
    PlannedEffect("raised", 0.02, 0.5, HALF, GIFTS[0]),
    PlannedEffect("raised", 0.02, 0.5, TENTH, GIFTS[0]),
    PlannedEffect("raised", 0.02, 0.5, HALF, GIFTS[2]),
)
PLAN_HEAD = "figure | gifts | weights | rate | lift | recipients | power"


def describe_power(effect: PlannedEffect, experiments: int, seed: int) -> str:
    """Return a row of the table: how often experiments of the planned size show the effect."""
    recipients = plan_recipients(effect)
    setting = Setting(effect.gifts, effect.weights, effect.rate, effect.lift, 0.0, recipients)
    power = simulate(setting, experiments, seed, find_alarms).percent(f"alarm {effect.figure} 1")
    cells = (
        effect.figure,
        effect.gifts.name,
        ":".join(map(str, effect.weights)),
        f"{effect.rate:.1%}",
        f"{effect.lift:.0%}",
        f"{recipients:,}",
        f"{power:.1f}",
    )
    return " | ".join(cells)


def plan_recipients(effect: PlannedEffect) -> int:
    design = Design(effect.weights, count_questions(len(effect.weights)))
    if effect.figure == "response":
        return plan_response(effect.rate, effect.rate * effect.lift, design).total
    sizes = GiftSizes(effect.gifts.mean, effect.gifts.deviation)
    return plan_raised(effect.rate, sizes, effect.lift, design).total


def print_table(head: str, rows: Iterable[str]) -> None:
    print(head, "-|" * head.count("|") + "-", sep="\n", flush=True)  # noqa: T201
    for row in rows:
        print(row, flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=2_000, help="without an effect, per row")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    count, seed = given.experiments, given.seed
    print_table(HEAD, (describe_setting(setting, count, seed) for setting in SETTINGS))
    print()  # noqa: T201
    ordinary = count_ordinary_alarms(SETTINGS[0], count, seed)
    print(f"Ordinary intervals, read as often: {ordinary:.1f} % false alarms\n")  # noqa: T201
    print_table(PLAN_HEAD, (describe_power(effect, count // 4, seed) for effect in PLANNED))


if __name__ == "__main__":
    main()
