"""Simulated experiments that are read after every batch, and the faults of their intervals.

A false alarm is a reading at which an interval of any comparison excludes zero. A miss is a reading
at which an interval of any comparison excludes the truth. The baseline's own intervals miss singly.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import NormalDist

from documents.experiments.e_values import compute_rate_e_value
from documents.experiments.raised import (
    bound_raised_difference,
    bound_raised_per_recipient,
    bound_raised_ratio,
)
from documents.experiments.report import ERROR_PROBABILITY, count_questions
from documents.experiments.response import (
    compute_difference_e_value,
    compute_ratio_e_value,
)
from documents.experiments.sums import ArmSums
from tools.bench.experiment_draws import Setting, draw_readings

FaultFinder = Callable[[Setting, Sequence[ArmSums], float], Iterator[str]]


@dataclass
class Tally:
    """Results of many experiments: how many had each fault, and the last differences."""

    experiments: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    response: list[float] = field(default_factory=list)
    raised: list[float] = field(default_factory=list)

    def percent(self, fault: str) -> float:
        return 100 * self.faults[fault] / self.experiments


def simulate(setting: Setting, experiments: int, seed: int, find_faults: FaultFinder) -> Tally:
    """Simulate experiments, and count each fault at most once in each of them."""
    tally, random = Tally(), Random(seed)
    for _ in range(experiments):
        tally.experiments += 1
        faults: set[str] = set()
        arms: list[ArmSums] = []
        for batch, arms in enumerate(draw_readings(setting, random), 1):
            faults.update(find_faults(setting, arms, setting.compute_share(batch)))
        tally.faults.update(faults)
        tally.response.append(arms[1].response_rate - arms[0].response_rate)
        tally.raised.append(arms[1].raised_per_recipient - arms[0].raised_per_recipient)
    return tally


def find_alarms(setting: Setting, arms: Sequence[ArmSums], share: float) -> Iterator[str]:
    """Yield the figures whose intervals exclude an equal effect, with the place of the arm."""
    baseline, alpha = arms[0], ERROR_PROBABILITY / count_questions(len(arms))
    for place, arm in enumerate(arms[1:], 1):
        if compute_difference_e_value(arm, baseline, 0.0) >= -math.log(alpha):
            yield from ("alarm", "alarm response", f"alarm response {place}")
        if bound_raised_difference(arm, baseline, alpha).sign:
            yield from ("alarm", "alarm raised", f"alarm raised {place}")


def find_misses(setting: Setting, arms: Sequence[ArmSums], share: float) -> Iterator[str]:
    """Yield the figures whose intervals exclude the truth."""
    yield from _find_arm_misses(setting, arms[0], share)
    alpha = ERROR_PROBABILITY / count_questions(len(arms))
    for place, arm in enumerate(arms[1:], 1):
        yield from _find_response_misses(setting, place, arm, arms[0], alpha, share)
        yield from _find_raised_misses(setting, place, arm, arms[0], alpha, share)


def count_ordinary_alarms(setting: Setting, experiments: int, seed: int) -> float:
    """Return how many percent of experiments alarm if an ordinary interval is read every time."""
    random, alarms = Random(seed), 0
    for _ in range(experiments):
        readings = list(draw_readings(setting, random))
        alarms += any(_is_ordinary_alarm(*arms[:2]) for arms in readings)
    return 100 * alarms / experiments


def _is_ordinary_alarm(baseline: ArmSums, arm: ArmSums) -> bool:
    """Return whether the usual test of two response rates rejects that they are equal."""
    rate = (arm + baseline).response_rate
    variance = rate * (1 - rate) * (1 / arm.recipients + 1 / baseline.recipients)
    limit = NormalDist().inv_cdf(1 - ERROR_PROBABILITY / 2)
    return abs(arm.response_rate - baseline.response_rate) > limit * math.sqrt(variance)


def _find_arm_misses(setting: Setting, arm: ArmSums, share: float) -> Iterator[str]:
    expected = arm.recipients * setting.rate * share
    if compute_rate_e_value(arm.givers, expected) >= -math.log(ERROR_PROBABILITY):
        yield "arm response"
    mean = setting.get_mean(0) * share
    if not bound_raised_per_recipient(arm, ERROR_PROBABILITY).contains(mean):
        yield "arm raised"


def _find_response_misses(
    setting: Setting, place: int, arm: ArmSums, baseline: ArmSums, alpha: float, share: float
) -> Iterator[str]:
    rate, base, limit = setting.get_rate(place), setting.rate, -math.log(alpha)
    if compute_difference_e_value(arm, baseline, (rate - base) * share) >= limit:
        yield from ("miss response", "miss")
    if compute_ratio_e_value(arm, baseline, rate / base) >= limit:
        yield from ("miss response", "miss")


def _find_raised_misses(
    setting: Setting, place: int, arm: ArmSums, baseline: ArmSums, alpha: float, share: float
) -> Iterator[str]:
    mean, base = setting.get_mean(place), setting.get_mean(0)
    if not bound_raised_difference(arm, baseline, alpha).contains((mean - base) * share):
        yield from ("miss raised", "miss")
    # Millionaires change the ratio of the means, but not their difference.
    is_known = not setting.gifts.millionaires
    if is_known and not bound_raised_ratio(arm, baseline, alpha).contains(mean / base):
        yield from ("miss raised", "miss")
