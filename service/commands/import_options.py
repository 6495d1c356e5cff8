"""The options of `matchback import`."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.commands.audit import audited
from service.commands.connected import connected

if TYPE_CHECKING:
    from documents.imports.amounts import DecimalSeparator
    from documents.imports.dates import DateOrder

DECIMAL_SEPARATORS: dict[str, "DecimalSeparator"] = {"comma": ",", "point": "."}
DATE_ORDERS: dict[str, "DateOrder"] = {"day-first": "day", "month-first": "month"}

FILE_OPTIONS = (
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option(
        "--organization",
        "organization_id",
        required=True,
        metavar="ID",
        help="ID of the organization.",
    ),
    click.option("--encoding", metavar="NAME", help="Encoding, such as cp1252.  [default: detect]"),
    click.option(
        "--delimiter",
        type=click.Choice([",", ";", "\\t", "|"]),
        callback=lambda _context, _option, value: "\t" if value == "\\t" else value,
        help="Separator of columns.  [default: detect]",
    ),
    click.option("--sheet", metavar="NAME", help="Sheet of a workbook.  [default: first visible]"),
    click.option(
        "--column",
        multiple=True,
        metavar="HEADER=FIELD",
        help="Field of a column, or no field to ignore it. Repeat for more columns.",
    ),
    click.option("--dry-run", is_flag=True, help="Show how the file is read, and store nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    connected,
    audited,
)
PARENT_OPTIONS = (
    click.option("--fundraiser", metavar="ID", help="Fundraiser for lines without fundraiser_id."),
    click.option("--mailing", metavar="ID", help="Mailing for lines without mailing_id."),
)

DATE_OPTION = click.option(
    "--dates",
    type=click.Choice(list(DATE_ORDERS)),
    help="Order of dates such as 3/4/2026.  [default: as other dates of the file prove]",
)
AMOUNT_OPTIONS = (
    click.option(
        "--decimal",
        type=click.Choice(list(DECIMAL_SEPARATORS)),
        help="Decimal separator of amounts such as 1,234.  [default: as other amounts prove]",
    ),
    click.option("--currency", metavar="CODE", help="Currency of amounts that name none."),
)

Command = Callable[..., Any]


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Add options to a command."""
    return lambda command: reduce(lambda inner, option: option(inner), reversed(options), command)
