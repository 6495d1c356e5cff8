"""Lists as commands print them: lines or tables for people, JSON for programs.

A list that is short, or known at once, is one JSON array. A list that can be long, or takes long to
find, is JSON lines, so its reader need not wait for the end. The help of --json says which.
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
    """The option of a command whose list is one JSON array, e.g. json_array("an object a job")."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print a JSON array, {of}.")


def json_lines_option(of: str) -> Callable[[Command], Command]:
    """The option of a command whose list is JSON lines, e.g. json_lines("a counter")."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print JSON, a line {of}.")


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], as_json: bool = False
) -> None:
    """These columns of rows: a table on a terminal, else lines. As JSON, an array of whole rows."""
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
    """A JSON array with a line for each row, which people and line tools can read, too."""
    lines = [json.dumps(dict(row)) for row in rows]
    click.echo("[\n" + ",\n".join(lines) + "\n]" if lines else "[]")


def print_grid(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """A table with lines around it; what does not fit is folded, for an id cut off is none."""
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
    """What a database answered: its first thousand rows for people, all of them as JSON lines."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(dict(zip(columns, map(_plain, row), strict=True))))
        return
    shown = list(islice(rows, MAX_ROWS_SHOWN))
    print_grid(columns, shown)
    if len(shown) == MAX_ROWS_SHOWN and next(rows, None) is not None:
        click.echo(f"The first {MAX_ROWS_SHOWN} rows; --json prints all.")


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
