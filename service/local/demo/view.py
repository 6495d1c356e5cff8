"""The live view of the demo: a report as a funnel in the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from documents.values.money import format_money_amount

DEMO_FUNNEL_STAGES = ("sent", "delivered", "opened", "clicked", "donated")
BAR_WIDTH = 40


def format_funnel_line(report: Mapping[str, Any]) -> str:
    """Return the report as one line, for output without a terminal."""
    stages = " → ".join(f"{name} {report['emails'][name]}" for name in DEMO_FUNNEL_STAGES)
    gifts = report["donations"]
    matched = ", ".join(f"{name} {of['count']}" for name, of in gifts["by_match"].items())
    donations = f"{gifts['count']} donations, {_money(gifts['raised'])}"
    return f"{stages} | {donations} | {matched} | {_lag(report)}"


def build_panel(title: str, report: Mapping[str, Any], note: str) -> Panel:
    """Return the funnel, the donations by match, and the lag of the counters."""
    return Panel(
        Group(_stages(report), Text(), _gifts(report), Text(), Text(_lag(report)), Text(note)),
        title=title,
        title_align="left",
        width=80,
    )


def _stages(report: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=10)
    table.add_column(justify="right", width=6)
    table.add_column(width=BAR_WIDTH)
    emails = report["emails"]
    top = max(emails["sent"], 1)
    for name in DEMO_FUNNEL_STAGES:
        filled = round(BAR_WIDTH * emails[name] / top)
        table.add_row(name, str(emails[name]), Text("█" * filled, style="cyan"))
    return table


def _gifts(report: Mapping[str, Any]) -> Table:
    gifts = report["donations"]
    table = Table.grid(padding=(0, 2))
    table.add_column(width=10)
    table.add_column(justify="right", width=6)
    table.add_column(justify="right", width=18)
    for name, of in gifts["by_match"].items():
        table.add_row(name, str(of["count"]), _money(of["raised"]))
    table.add_row("donations", str(gifts["count"]), _money(gifts["raised"]), style="bold")
    return table


def _lag(report: Mapping[str, Any]) -> str:
    unsettled = report["unsettled"]
    waiting = unsettled["donations"] + unsettled["deliveries"]
    if not waiting and not unsettled["oldest_seconds"]:
        return "counters are up to date"
    return f"counters are {unsettled['oldest_seconds']:.1f} s behind ({waiting} records waiting)"


def _money(totals: Mapping[str, int]) -> str:
    return (
        ", ".join(format_money_amount(amount, code) for code, amount in totals.items())
        or "nothing yet"
    )
