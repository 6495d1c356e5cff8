"""A report's figures as tables: the rows of CSV files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from documents.reports.figures import DayLine, ReportFigures
from documents.values.money import to_major_units
from service.api.csv_cells import Cell
from service.dashboard.presentation.language import Language
from service.dashboard.presentation.wording import (
    MATCH_LABELS,
    RATE_LABELS,
    STAGE_LABELS,
    format_amount,
)

FUNNEL = ("sent", "delivered", "opened", "clicked", "donated")
LOST = ("bounced", "dropped", "unsubscribed", "spam_reported")
# The rate of each stage, as documents/values/rates.py defines it.
RATE_OF = {
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
    """A stage of the funnel. `share`: part of the emails sent. `rate`: as reports define it."""

    name: str
    count: int
    share: float
    rate: float | None


def build_funnel_stages(report: ReportFigures) -> list[FunnelStage]:
    """Return the stages of the funnel."""
    emails, rates = report["emails"], report["rates"]
    top = max(emails["sent"], 1)
    return [
        FunnelStage(
            name,
            emails[name],
            min(1.0, emails[name] / top),
            rates[RATE_OF[name]] if name in RATE_OF else None,
        )
        for name in FUNNEL
    ]


def list_currencies(report: ReportFigures) -> list[str]:
    """Return the currencies of the gifts, the most frequent one first; US dollars without gifts."""
    raised, average = report["donations"]["raised"], report["donations"]["average"]
    return sorted(raised, key=lambda code: -raised[code] / (average.get(code) or 1)) or ["USD"]


def build_raised_table(report: ReportFigures, language: Language) -> ReportTable:
    """Return gifts and money by day with gifts, or by hour if all gifts came within two days."""
    money = list_currencies(report)
    if is_by_day(report):
        return build_day_table(report["by_day"], money, language)
    rows = [
        [line["hour"].isoformat(), line["count"], *_amounts(line["raised"], money)]
        for line in report["by_hour"]
    ]
    said = language.gettext
    return ReportTable([said("Hour"), said("Gifts"), *_raised(money, language)], rows)


def build_day_table(
    lines: Sequence[DayLine], money: Sequence[str], language: Language
) -> ReportTable:
    """Return gifts and money by day with gifts."""
    rows = [
        [line["day"].isoformat(), line["count"], *_amounts(line["raised"], money)] for line in lines
    ]
    said = language.gettext
    return ReportTable([said("Day"), said("Gifts"), *_raised(money, language)], rows)


def is_by_day(report: ReportFigures) -> bool:
    """Return whether gifts are listed by day: when they did not all come within two days."""
    days = [line["day"] for line in report["by_day"]]
    return len(days) > 2 or (days[-1:] > days[:1] and (days[-1] - days[0]).days > 1)


def build_funnel_table(report: ReportFigures, language: Language) -> ReportTable:
    """Return the funnel, and the emails that left it."""
    said = language.gettext
    rows: list[list[Cell]] = [
        [said(STAGE_LABELS[stage.name]), stage.count, stage.rate]
        for stage in build_funnel_stages(report)
    ]
    rows += [[said(STAGE_LABELS[name]), report["emails"][name], None] for name in LOST]
    return ReportTable([said("Stage"), said("Emails"), said("Rate")], rows)


def build_match_table(report: ReportFigures, language: Language) -> ReportTable:
    """Return gifts by match."""
    money, said = list_currencies(report), language.gettext
    classes = report["donations"]["by_match"]
    rows = [
        [said(label), classes[name]["count"], *_amounts(classes[name]["raised"], money)]
        for name, label in MATCH_LABELS.items()
    ]
    return ReportTable([said("Match"), said("Gifts"), *_raised(money, language)], rows)


def build_mailing_table(report: ReportFigures, language: Language) -> ReportTable:
    """Return one row for each mailing."""
    money, said = list_currencies(report), language.gettext
    rows = [
        [
            line["name"],
            line["sent_at"].isoformat() if line["sent_at"] else None,
            line["emails"]["sent"],
            *(line["rates"][name] for name in RATE_LABELS),
            line["donations"]["count"],
            *_amounts(line["donations"]["raised"], money),
            *(_larger(line["raised_per_email"].get(code), code) for code in money),
            *(line["cost_per_unit_raised"].get(code) for code in money),
        ]
        for line in report["mailings"]
    ]
    header = [said("Mailing"), said("Sent on"), said("Emails sent")]
    header += [*(said(label) for label in RATE_LABELS.values()), said("Gifts")]
    header += _raised(money, language)
    header += [said("Raised per email, %(currency)s") % {"currency": code} for code in money]
    header += [said("Cost ratio, %(currency)s") % {"currency": code} for code in money]
    return ReportTable(header, rows)


RAISED_TABLE = "raised-over-time"
REPORT_TABLES = {
    RAISED_TABLE: build_raised_table,
    "funnel": build_funnel_table,
    "matches": build_match_table,
    "mailings": build_mailing_table,
}


def _larger(amount: float | None, currency: str) -> Cell:
    """Convert minor units to the larger unit."""
    converted = None if amount is None else to_major_units(amount, currency)
    return None if converted is None else round(converted, 6)


def _raised(money: Sequence[str], language: Language) -> list[str]:
    said = language.gettext("Raised, %(currency)s")
    return [said % {"currency": code} for code in money]


def _amounts(raised: Mapping[str, int], money: Sequence[str]) -> list[Cell]:
    return [format_amount(raised.get(code, 0), code) for code in money]
