"""Workers that take turns at organizations, simulated: how far behind each gets at the peak."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

# A third of the half hour's events arrive in its first five minutes, of all organizations at once.
EARLY_SHARE, EARLY_SECONDS, HALF_HOUR_SECONDS = 1 / 3, 300, 1800
# A worker counts so many events a second, and needs so long for a turn, however short.
EVENTS_A_SECOND = 3_000  # docs/explanation/performance.md
SECONDS_A_TURN = 0.01
STEP_SECONDS = 2


def compute_shares(many: int) -> list[float]:
    """Which part of all is whose: the n-th largest has 1/n of what the largest has (Zipf)."""
    weights = [1 / rank for rank in range(1, many + 1)]
    return [weight / sum(weights) for weight in weights]


def count_arrived(second: float, total: float) -> float:
    """Events of all organizations from the beginning of the half hour until then."""
    early = min(second, EARLY_SECONDS) / EARLY_SECONDS * EARLY_SHARE
    late = max(0.0, min(second, HALF_HOUR_SECONDS) - EARLY_SECONDS)
    return total * (early + (1 - EARLY_SHARE) * late / (HALF_HOUR_SECONDS - EARLY_SECONDS))


def find_arrival_seconds(part: float) -> float:
    """When this part of the half hour's events had arrived: `arrived`, the other way round."""
    if part <= EARLY_SHARE:
        return part / EARLY_SHARE * EARLY_SECONDS
    rest = (part - EARLY_SHARE) / (1 - EARLY_SHARE)
    return EARLY_SECONDS + rest * (HALF_HOUR_SECONDS - EARLY_SECONDS)


@dataclass
class SimulationRun:
    """What a simulation has seen."""

    workers: int
    backlog: float = 0.0  # the most events that waited
    lags: tuple[float, ...] = ()  # by organization: the longest that an event waited, seconds
    busy: float = 0.0  # part of the workers' time


def simulate_half_hour(workers: int, of: list[float], total: float) -> SimulationRun:
    """The busiest half hour, step by step.

    In each step a worker takes organizations in turn, whoever has waited longest first, and counts
    what is there; one organization is counted by one worker at a time. What is left of a step's
    time is idle.
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
    """One step of all workers. Returns how many seconds they worked, together."""
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
