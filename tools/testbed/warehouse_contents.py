"""The warehouse's contents, and the expected contents: the current rows of all documents."""

from typing import Any

from mongoengine import get_db

from config.settings import settings
from jobs.warehouse.engine import Warehouse
from jobs.warehouse.export import export
from jobs.warehouse.tables import ID, TABLES, Table, text_of
from tools.testbed.settled import settle

Contents = dict[str, dict[str, tuple[Any, ...]]]


def held(warehouse: Warehouse, table: Table) -> dict[str, tuple[Any, ...]]:
    """Return the rows of a table's view, by ID."""
    names = [ID, *(column.name for column in table.columns)]
    with warehouse.query(f"SELECT {', '.join(names)} FROM {table.name}") as answer:
        rows = list(answer.rows)
    found = {row[0]: tuple(map(_plain, row[1:])) for row in rows}
    assert len(found) == len(rows), "duplicate ID"
    return found


def contents(warehouse: Warehouse) -> Contents:
    return {table.name: held(warehouse, table) for table in TABLES}


def truth() -> Contents:
    """Return the contents of an up-to-date warehouse."""
    personal = settings().warehouse_personal_data
    found: Contents = {}
    for table in TABLES:
        rows = [table.row(one, 1, personal=personal) for one in get_db()[table.name].find()]
        found[table.name] = {
            text_of(row[ID]): tuple(_plain(row[column.name]) for column in table.columns)
            for row in rows
            if not row["deleted"]
        }
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "isoformat"):
        return value.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text_of(value)


def export_all(warehouse: Warehouse) -> None:
    """Settle everything, then export everything."""
    settle()
    while export(warehouse):
        pass
