"""`python -m tools.bench.scaling`: what a thousand organizations and a billion events need.

The calculation uses measured figures (tools/bench/scaling_sample.py,
docs/explanation/performance.md) and the assumptions below. A simulation models workers that take
turns.

`python -m tools.bench.scaling --write` updates docs/explanation/scaling.md.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.bench.scaling_turns import FIRST_PART, FIRST_SECONDS, shares, simulate

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "scaling.md"
BEGIN, END = "<!-- from tools/bench/scaling.py -->", "<!-- until here -->"

# Assumptions.
ORGANIZATIONS = 1_000
EVENTS = 1_000_000_000
KEPT_DAYS = 400  # MATCHBACK_KEEP_EVENTS_DAYS
DELIVERIES_KEPT_DAYS = 30  # MATCHBACK_KEEP_DELIVERIES_DAYS
EVENTS_AN_EMAIL = 4
EMAILS_A_USER = 10
EMAILS_A_GIFT = 200
EVENTS_A_POST = 100
# The busiest day has this many times the events of an average day. One half hour of that day has a
# fifth of its events.
BUSIEST_DAY, BUSIEST_HALF_HOUR = 10, 1 / 5
WORKERS = (1, 2, 3, 4, 8)
DAY_SECONDS = 86_400
GIGABYTE = 1e9
STORAGE_HEAD = (
    "what | records | bytes each, storage + indexes | storage | indexes | random of these"
)
TURNS_HEAD = "workers | busy | most that waits | longest wait: largest organization | median | any"


@dataclass(frozen=True)
class Measured:
    """Bytes of one record in compressed storage and in all indexes.

    `random` counts the indexes that are read and written at random places, so they must fit in
    memory.
    """

    collection: str
    stored: int
    indexed: int
    random: int


EMAILS = EVENTS // EVENTS_AN_EMAIL
GIFTS = EMAILS // EMAILS_A_GIFT
HOW_MANY = {
    "events": EVENTS,
    "emails": EMAILS,
    "messages": EMAILS,
    "users": EMAILS // EMAILS_A_USER,
    "deliveries": EVENTS // EVENTS_A_POST * DELIVERIES_KEPT_DAYS // KEPT_DAYS,
    "donations": GIFTS,
    "donors": 2 * GIFTS,  # one for the fundraiser, and one for the mailing
}
# From 20,000 emails, 20,000 events and 5,000 gifts: python -m tools.bench.scaling_sample
SAMPLE = (
    Measured("events", 99, 179, 109),
    Measured("emails", 173, 239, 63),
    Measured("messages", 32, 45, 45),
    Measured("users", 195, 487, 145),
    Measured("deliveries", 5652, 512, 0),
    Measured("donations", 714, 1051, 69),
    Measured("donors", 32, 87, 34),
)


def storage() -> list[tuple[str, ...]]:
    """Return the stored data by collection, in bytes and gigabytes."""
    rows = []
    totals = [0.0, 0.0, 0.0]
    for one in SAMPLE:
        many = HOW_MANY[one.collection]
        sizes = [many * each / GIGABYTE for each in (one.stored, one.indexed, one.random)]
        totals = [total + size for total, size in zip(totals, sizes, strict=True)]
        each = f"{one.stored:,} + {one.indexed:,}"
        rows.append((one.collection, f"{many:,}", each, *map(_gigabytes, sizes)))
    return [*rows, ("all", "", "", *map(_gigabytes, totals))]


def peak() -> float:
    """Return the number of events in the busiest half hour."""
    return EVENTS / KEPT_DAYS * BUSIEST_DAY * BUSIEST_HALF_HOUR


def turns(many_workers: Iterable[int]) -> list[tuple[str, ...]]:
    """Simulate the busiest half hour with each number of workers."""
    rows = []
    for workers in many_workers:
        run = simulate(workers, shares(ORGANIZATIONS), peak())
        ordered = sorted(run.lags)
        lags = (run.lags[0], ordered[len(ordered) // 2], ordered[-1])
        rows.append(
            (
                str(workers),
                f"{run.busy:.0%}",
                f"{run.backlog:,.0f}",
                *(f"{lag:,.0f} s" for lag in lags),
            )
        )
    return rows


def text() -> str:
    """Return the generated part of the page."""
    first = peak() * FIRST_PART / FIRST_SECONDS
    of = shares(ORGANIZATIONS)
    rates = (
        f"{EVENTS / KEPT_DAYS / DAY_SECONDS:,.0f} events a second in the mean; {first:,.0f} in the "
        f"busiest five minutes. Of these the largest organization's are {of[0]:.1%}, "
        f"{first * of[0]:,.0f} a second, and the smallest's {first * of[-1]:.2f} a second."
    )
    return "\n".join(
        [*_table(STORAGE_HEAD, storage()), "", rates, "", *_table(TURNS_HEAD, turns(WORKERS))]
    )


def _table(head: str, rows: list[tuple[str, ...]]) -> list[str]:
    names = head.split(" | ")
    lines = [names, ["---"] * len(names), *map(list, rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _gigabytes(size: float) -> str:
    return f"{size:,.1f} GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/explanation/scaling.md")
    if parser.parse_args().write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{text()}\n{END}{after}")
    else:
        print(text())  # noqa: T201


if __name__ == "__main__":
    main()
