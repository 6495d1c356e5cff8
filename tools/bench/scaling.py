"""`python -m tools.bench.scaling`: what a thousand organizations and a billion events need.

A calculation from measurements (tools/bench/scaling_sample.py, docs/explanation/performance.md)
and from the assumptions below, and a simulation of workers that take turns.
`python -m tools.bench.scaling --write` updates docs/explanation/scaling.md.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.bench.scaling_turns import EARLY_SECONDS, EARLY_SHARE, compute_shares, simulate_half_hour

SCALING_PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "scaling.md"
BEGIN_MARKER, END_MARKER = "<!-- from tools/bench/scaling.py -->", "<!-- until here -->"

# Assumptions.
ORGANIZATION_COUNT = 1_000
EVENT_COUNT = 1_000_000_000
EVENTS_KEPT_DAYS = 400  # MATCHBACK_KEEP_EVENTS_DAYS
DELIVERIES_KEPT_DAYS = 30  # MATCHBACK_KEEP_DELIVERIES_DAYS
EVENTS_AN_EMAIL = 4
EMAILS_A_USER = 10
EMAILS_A_GIFT = 200
EVENTS_A_POST = 100
# The busiest day has so many times the events of the mean one, half an hour of it a fifth of these.
BUSIEST_DAY_FACTOR, BUSIEST_HALF_HOUR_SHARE = 10, 1 / 5
WORKER_COUNTS = (1, 2, 3, 4, 8)
DAY_SECONDS = 86_400
GIGABYTE = 1e9
STORAGE_HEAD = (
    "what | records | bytes each, storage + indexes | storage | indexes | random of these"
)
TURNS_HEAD = "workers | busy | most that waits | longest wait: largest organization | median | any"


@dataclass(frozen=True)
class Measured:
    """Bytes of one record: compressed in storage, in all indexes, and in randomly used indexes.

    A randomly used index must be in memory as a whole.
    """

    collection: str
    stored: int
    indexed: int
    random: int


EMAIL_COUNT = EVENT_COUNT // EVENTS_AN_EMAIL
GIFT_COUNT = EMAIL_COUNT // EMAILS_A_GIFT
RECORD_COUNTS = {
    "events": EVENT_COUNT,
    "emails": EMAIL_COUNT,
    "messages": EMAIL_COUNT,
    "users": EMAIL_COUNT // EMAILS_A_USER,
    "deliveries": EVENT_COUNT // EVENTS_A_POST * DELIVERIES_KEPT_DAYS // EVENTS_KEPT_DAYS,
    "donations": GIFT_COUNT,
    "donors": 2 * GIFT_COUNT,  # to the fundraiser, and to the mailing
}
# Of 20,000 emails, as many events, 5,000 gifts: python -m tools.bench.scaling_sample
MEASURED_RECORDS = (
    Measured("events", 99, 179, 109),
    Measured("emails", 173, 239, 63),
    Measured("messages", 32, 45, 45),
    Measured("users", 195, 487, 145),
    Measured("deliveries", 5652, 512, 0),
    Measured("donations", 714, 1051, 69),
    Measured("donors", 32, 87, 34),
)


def calculate_storage() -> list[tuple[str, ...]]:
    """Calculate the stored bytes and gigabytes of each collection."""
    rows = []
    totals = [0.0, 0.0, 0.0]
    for one in MEASURED_RECORDS:
        many = RECORD_COUNTS[one.collection]
        sizes = [many * each / GIGABYTE for each in (one.stored, one.indexed, one.random)]
        totals = [total + size for total, size in zip(totals, sizes, strict=True)]
        each = f"{one.stored:,} + {one.indexed:,}"
        rows.append((one.collection, f"{many:,}", each, *map(_gigabytes, sizes)))
    return [*rows, ("all", "", "", *map(_gigabytes, totals))]


def calculate_peak() -> float:
    """Events of the busiest half hour."""
    return EVENT_COUNT / EVENTS_KEPT_DAYS * BUSIEST_DAY_FACTOR * BUSIEST_HALF_HOUR_SHARE


def simulate_turns(many_workers: Iterable[int]) -> list[tuple[str, ...]]:
    """Simulate the busiest half hour with so many workers."""
    rows = []
    for workers in many_workers:
        run = simulate_half_hour(workers, compute_shares(ORGANIZATION_COUNT), calculate_peak())
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


def format_page() -> str:
    """Return the text of the page."""
    first = calculate_peak() * EARLY_SHARE / EARLY_SECONDS
    of = compute_shares(ORGANIZATION_COUNT)
    rates = (
        f"{EVENT_COUNT / EVENTS_KEPT_DAYS / DAY_SECONDS:,.0f} events a second in the mean; "
        f"{first:,.0f} in the busiest five minutes. "
        f"Of these the largest organization's are {of[0]:.1%}, "
        f"{first * of[0]:,.0f} a second, and the smallest's {first * of[-1]:.2f} a second."
    )
    return "\n".join(
        [
            *_table(STORAGE_HEAD, calculate_storage()),
            "",
            rates,
            "",
            *_table(TURNS_HEAD, simulate_turns(WORKER_COUNTS)),
        ]
    )


def _table(head: str, rows: list[tuple[str, ...]]) -> list[str]:
    names = head.split(" | ")
    lines = [names, ["---"] * len(names), *map(list, rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _gigabytes(size: float) -> str:
    return f"{size:,.1f} GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/explanation/scaling.md")
    if parser.parse_args().write:
        before, _, rest = SCALING_PAGE.read_text().partition(BEGIN_MARKER)
        _, _, after = rest.partition(END_MARKER)
        SCALING_PAGE.write_text(f"{before}{BEGIN_MARKER}\n{format_page()}\n{END_MARKER}{after}")
    else:
        print(format_page())  # noqa: T201


if __name__ == "__main__":
    main()
