"""A report's figures as tables: the rows of charts and of CSV files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from documents.reports.figures import GiftSum, Report
from documents.values.money import to_major_units
from service.dashboard.presentation.csv_file import Cell
from service.dashboard.presentation.wording import MATCH_LABELS, format_amount

FUNNEL_STAGES = ("sent", "delivered", "opened", "clicked", "donated")
# What each stage is measured against, as documents/values/rates.py has it.
STAGE_RATES = {
    "delivered": "delivery",
    "opened": "open",
    "clicked": "click",
    "donated": "conversion",
}


@dataclass(frozen=True)
class ReportTable:
    """A header and rows of plain cells."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class FunnelStage:
    """A stage of the funnel. `share`: of what was sent. `rate`: as it is usually told."""

    name: str
    count: int
    share: float
    rate: float | None


def build_funnel_stages(report: Report) -> list[FunnelStage]:
    """The funnel."""
    emails, rates = report["emails"], report["rates"]
    top = max(emails["sent"], 1)
    return [
        FunnelStage(
            name,
            emails[name],
            min(1.0, emails[name] / top),
            rates[STAGE_RATES[name]] if name in STAGE_RATES else None,
        )
        for name in FUNNEL_STAGES
    ]


def list_currencies(report: Report) -> list[str]:
    """What money came in, that of most gifts first; US dollars where there is none yet."""
    raised, average = report["donations"]["raised"], report["donations"]["average"]
    return sorted(raised, key=lambda code: -raised[code] / (average.get(code) or 1)) or ["USD"]


def build_raised_table(report: Report) -> ReportTable:
    """Gifts and money by day with gifts; of gifts within two days, by hour."""
    money = list_currencies(report)
    times: list[tuple[date, GiftSum]] = [(line["hour"], line) for line in report["by_hour"]]
    unit = "hour"
    if is_by_day(report):
        times = [(line["day"], line) for line in report["by_day"]]
        unit = "day"
    rows = [[at.isoformat(), line["count"], *_amounts(line["raised"], money)] for at, line in times]
    return ReportTable([unit.capitalize(), "Gifts", *(f"Raised {code}" for code in money)], rows)


def is_by_day(report: Report) -> bool:
    """Whether money over time is told by day; by hour while all came in within two days."""
    days = [line["day"] for line in report["by_day"]]
    return len(days) > 2 or (days[-1:] > days[:1] and (days[-1] - days[0]).days > 1)


def build_funnel_table(report: Report) -> ReportTable:
    """The funnel, with what fell out of it."""
    rows: list[list[Cell]] = [
        [stage.name.capitalize(), stage.count, stage.rate] for stage in build_funnel_stages(report)
    ]
    lost = ("bounced", "dropped", "unsubscribed", "spam_reported")
    rows += [[name.replace("_", " ").capitalize(), report["emails"][name], None] for name in lost]
    return ReportTable(["Stage", "Emails", "Rate"], rows)


def build_match_table(report: Report) -> ReportTable:
    """Gifts by how they were tied to emails."""
    money = list_currencies(report)
    classes = report["donations"]["by_match"]
    rows = [
        [said, classes[name]["count"], *_amounts(classes[name]["raised"], money)]
        for name, said in MATCH_LABELS.items()
    ]
    return ReportTable(["Match", "Gifts", *(f"Raised {code}" for code in money)], rows)


def build_mailing_table(report: Report) -> ReportTable:
    """Mailings side by side."""
    money = list_currencies(report)
    rates = ("delivery", "open", "click", "conversion")
    rows = [
        [
            line["name"],
            line["sent_at"].isoformat() if line["sent_at"] else None,
            line["emails"]["sent"],
            *(line["rates"][name] for name in rates),
            line["donations"]["count"],
            *_amounts(line["donations"]["raised"], money),
            *(_larger(line["raised_per_email"].get(code), code) for code in money),
            *(line["cost_per_unit_raised"].get(code) for code in money),
        ]
        for line in report["mailings"]
    ]
    header = ["Mailing", "Sent at", "Sent", *(f"{name.capitalize()} rate" for name in rates)]
    header += ["Gifts", *(f"Raised {code}" for code in money)]
    header += [f"Raised per email {code}" for code in money]
    header += [f"Cost per unit raised {code}" for code in money]
    return ReportTable(header, rows)


REPORT_TABLES = {
    "raised-over-time": build_raised_table,
    "funnel": build_funnel_table,
    "matches": build_match_table,
    "mailings": build_mailing_table,
}


def _larger(amount: float | None, currency: str) -> Cell:
    """Convert minor units to the larger unit."""
    converted = None if amount is None else to_major_units(amount, currency)
    return None if converted is None else round(converted, 6)


def _amounts(raised: Mapping[str, int], money: Sequence[str]) -> list[Cell]:
    return [format_amount(raised.get(code, 0), code) for code in money]
