"""Output of lists: lines or tables as text, and JSON for programs.

Short lists, and lists that are known at once, are one JSON array. Long or slow lists are JSON
lines, so that a reader need not wait for the end. The help of --json states the format.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import click

MAX_ROWS_SHOWN = 1000

Command = Callable[..., Any]


def json_array_option(of: str) -> Callable[[Command], Command]:
    """Return the `--json` option for a JSON array, e.g. json_array("one object per job")."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print a JSON array, {of}.")


def json_lines_option(of: str) -> Callable[[Command], Command]:
    """Return the `--json` option for JSON lines, e.g. json_lines("per counter")."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print one line of JSON {of}.")


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], as_json: bool = False
) -> None:
    """Print these columns: a table on a terminal, otherwise lines. JSON holds all columns."""
    if as_json:
        print_array(rows)
        return
    cells = ([row[column] for column in columns] for row in rows)
    if sys.stdout.isatty():
        print_grid(columns, cells)
        return
    for row in cells:
        click.echo("  ".join(map(str, row)))


def print_array(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a JSON array with one row per line, so that line tools can read the array, too."""
    lines = [json.dumps(dict(row)) for row in rows]
    click.echo("[\n" + ",\n".join(lines) + "\n]" if lines else "[]")


def print_grid(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table. Fold long values, because a truncated ID is useless."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    shown = Table(*(Column(Text(name), overflow="fold") for name in columns))
    for row in rows:
        shown.add_row(*(Text("" if value is None else str(value)) for value in row))
    Console().print(shown)


def print_query_result(
    columns: Sequence[str], rows: Iterator[Sequence[Any]], as_json: bool
) -> None:
    """Print a query's result: the first 1,000 rows as text, or all rows as JSON lines."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(dict(zip(columns, map(_plain, row), strict=True))))
        return
    shown = list(islice(rows, MAX_ROWS_SHOWN))
    print_grid(columns, shown)
    if len(shown) == MAX_ROWS_SHOWN and next(rows, None) is not None:
        click.echo(f"Only the first {MAX_ROWS_SHOWN:,} rows are shown. Use --json to print all.")


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
