"""Simulated experiments: sums of each arm at each reading.

Only the standard library draws, so that a seed gives the same experiments on each machine.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from documents.experiments.sums import ArmSums

NORMAL_FROM = 400  # expected successes from which a normal variable replaces a binomial one
REFUNDED_SHARE, REFUND_DELAY_BATCHES = 0.1, 5
MILLION_DOLLARS = 100_000_000


@dataclass(frozen=True)
class Gifts:
    """A distribution of gifts in cents, with its mean and standard deviation.

    Attributes:
        millionaires: recipients who each give a million dollars, in any arm and batch.
    """

    name: str
    draw: Callable[[Random], float]
    mean: float
    deviation: float
    millionaires: int = 0


@dataclass(frozen=True)
class Setting:
    """A simulated experiment.

    Attributes:
        weights: relative sizes of the arms; the first is the baseline.
        rate: the baseline's response rate.
        lift: of each other arm's response rate.
        size_lift: of each other arm's gifts.
        arriving: recipients arrive in batches, or all have arrived and their gifts arrive.
            Then a tenth of the gifts is refunded later.
    """

    gifts: Gifts
    weights: Sequence[int]
    rate: float = 0.02
    lift: float = 0.0
    size_lift: float = 0.0
    recipients: int = 20_000
    batches: int = 40
    arriving: Literal["recipients", "gifts"] = "recipients"

    def get_rate(self, arm: int) -> float:
        return self.rate * (1 + self.lift) if arm else self.rate

    def get_mean(self, arm: int) -> float:
        """Return the expected cents per recipient, without millionaires."""
        size = 1 + self.size_lift if arm else 1.0
        return self.get_rate(arm) * size * self.gifts.mean

    def compute_share(self, batch: int) -> float:
        """Return the expected share of the gifts that are there at a reading, net of refunds."""
        if self.arriving == "recipients":
            return 1.0
        refunded = REFUNDED_SHARE * max(0, batch - REFUND_DELAY_BATCHES)
        return (batch - refunded) / self.batches


def draw_readings(setting: Setting, random: Random) -> Iterator[list[ArmSums]]:
    """Draw an experiment, and yield the sums of all arms after each batch."""
    complete = _divide(random, setting.recipients, setting.weights)
    rich = [random.randrange(setting.batches) for _ in range(setting.gifts.millionaires)]
    sums = [ArmSums(0, 0) for _ in setting.weights]
    refunds: list[list[ArmSums]] = [sums] * REFUND_DELAY_BATCHES
    for batch in range(setting.batches):
        drawn = _draw_batch(setting, random, complete)
        sums = _add([new for new, _ in drawn], sums)
        for _ in range(rich.count(batch)):
            lucky = random.choices(range(len(sums)), setting.weights)[0]
            sums[lucky] += ArmSums(0, 1, MILLION_DOLLARS, MILLION_DOLLARS**2)
        if setting.arriving == "gifts":
            refunds.append([refund for _, refund in drawn])
            sums = _add(sums, refunds[batch])
            sums = [replace(arm, recipients=size) for arm, size in zip(sums, complete, strict=True)]
        yield sums


def draw_count(random: Random, size: int, chance: float) -> int:
    """Draw a binomial variable: the successes among `size` attempts."""
    if size * chance > NORMAL_FROM:
        deviation = math.sqrt(size * chance * (1 - chance))
        return min(size, max(0, round(random.gauss(size * chance, deviation))))
    count, place, scale = -1, 0, math.log1p(-chance)
    while place <= size:
        place += 1 + int(math.log(1 - random.random()) / scale)
        count += 1
    return count


def _draw_batch(
    setting: Setting, random: Random, complete: Sequence[int]
) -> list[tuple[ArmSums, ArmSums]]:
    sizes, batches = list(complete), setting.batches
    if setting.arriving == "recipients":
        sizes = _divide(random, setting.recipients // batches, setting.weights)
        batches = 1
    return [
        _draw_arm(setting, random, arm, size, setting.get_rate(arm) / batches)
        for arm, size in enumerate(sizes)
    ]


def _draw_arm(
    setting: Setting, random: Random, arm: int, size: int, chance: float
) -> tuple[ArmSums, ArmSums]:
    """Return the sums of an arm's batch, and what its later refunds add to them."""
    factor = 1 + setting.size_lift if arm else 1.0
    draw, givers = setting.gifts.draw, draw_count(random, size, chance)
    gifts = [max(1, round(factor * draw(random))) for _ in range(givers)]
    refunded = gifts[: draw_count(random, givers, REFUNDED_SHARE)]
    return (
        ArmSums(size, givers, sum(gifts), sum(gift * gift for gift in gifts)),
        ArmSums(0, -len(refunded), -sum(refunded), -sum(gift * gift for gift in refunded)),
    )


def _add(some: Sequence[ArmSums], others: Sequence[ArmSums]) -> list[ArmSums]:
    return [one + other for one, other in zip(some, others, strict=True)]


def _divide(random: Random, size: int, weights: Sequence[int]) -> list[int]:
    """Divide the recipients among the arms at random, and return the sizes of the arms."""
    sizes, rest = [], sum(weights)
    for weight in weights[:-1]:
        sizes.append(draw_count(random, size, weight / rest))
        size, rest = size - sizes[-1], rest - weight
    return [*sizes, size]
