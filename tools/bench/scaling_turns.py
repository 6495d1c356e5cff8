"""Simulation of workers that take turns at organizations, with each one's lag at the peak."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

# A third of the half hour's events arrive in its first five minutes, for all organizations at once.
EARLY_SHARE, EARLY_SECONDS, HALF_HOUR_SECONDS = 1 / 3, 300, 1800
# A worker counts this many events per second, and each turn takes at least this long.
EVENTS_A_SECOND = 3_000  # docs/explanation/performance.md
SECONDS_A_TURN = 0.01
STEP_SECONDS = 2


def compute_shares(many: int) -> list[float]:
    """Return each organization's share of the events.

    The n-th largest has 1/n of the largest's (Zipf).
    """
    weights = [1 / rank for rank in range(1, many + 1)]
    return [weight / sum(weights) for weight in weights]


def count_arrived(second: float, total: float) -> float:
    """Return how many events of all organizations have arrived by this second."""
    early = min(second, EARLY_SECONDS) / EARLY_SECONDS * EARLY_SHARE
    late = max(0.0, min(second, HALF_HOUR_SECONDS) - EARLY_SECONDS)
    return total * (early + (1 - EARLY_SHARE) * late / (HALF_HOUR_SECONDS - EARLY_SECONDS))


def find_arrival_seconds(part: float) -> float:
    """Return the second by which this part of the events has arrived.

    It is the inverse of `arrived`.
    """
    if part <= EARLY_SHARE:
        return part / EARLY_SHARE * EARLY_SECONDS
    rest = (part - EARLY_SHARE) / (1 - EARLY_SHARE)
    return EARLY_SECONDS + rest * (HALF_HOUR_SECONDS - EARLY_SECONDS)


@dataclass
class SimulationRun:
    """The result of a simulation."""

    workers: int
    backlog: float = 0.0  # the most events that waited
    lags: tuple[float, ...] = ()  # by organization: the longest wait of an event, in seconds
    busy: float = 0.0  # share of the workers' time


def simulate_half_hour(workers: int, of: list[float], total: float) -> SimulationRun:
    """Simulate the busiest half hour, step by step.

    In each step, workers take organizations in turn, the longest-waiting first, and count their
    events. Only one worker at a time counts an organization's events. The rest of a step's time is
    idle.
    """
    counted = [0.0] * len(of)
    lags = [0.0] * len(of)
    run = SimulationRun(workers)
    steps = range(STEP_SECONDS, HALF_HOUR_SECONDS + 1, STEP_SECONDS)
    for second in steps:
        told = count_arrived(second, total)
        oldest = [
            (find_arrival_seconds(counted[one] / (share * total)), one)
            for one, share in enumerate(of)
        ]
        waiting = [(since, one) for since, one in oldest if of[one] * told - counted[one] >= 1]
        for since, one in waiting:
            lags[one] = max(lags[one], second - since)
        run.backlog = max(run.backlog, told - sum(counted))
        run.busy += _work(workers, waiting, counted, [share * told for share in of])
    run.busy /= workers * STEP_SECONDS * len(steps)
    run.lags = tuple(lags)
    return run


def _work(
    workers: int, waiting: Iterable[tuple[float, int]], counted: list[float], told: list[float]
) -> float:
    """Simulate one step of all workers. Return the sum of the seconds that they worked."""
    free = [0.0] * workers
    for _, one in sorted(waiting):
        begun = heapq.heappop(free)
        left = STEP_SECONDS - begun - SECONDS_A_TURN
        if left <= 0:
            heapq.heappush(free, STEP_SECONDS)
            break
        done = min(told[one] - counted[one], left * EVENTS_A_SECOND)
        counted[one] += done
        heapq.heappush(free, begun + SECONDS_A_TURN + done / EVENTS_A_SECOND)
    return sum(free)
