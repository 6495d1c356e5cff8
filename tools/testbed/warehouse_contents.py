"""The warehouse's contents, and the expected contents: the current rows of all documents."""

from typing import Any

from mongoengine import get_db

from config.settings import get_settings
from jobs.warehouse.engine import Warehouse
from jobs.warehouse.export import export_next_changes
from jobs.warehouse.tables import ID_COLUMN, WAREHOUSE_TABLES, Table, to_id_text
from tools.testbed.settled import settle_all

Contents = dict[str, dict[str, tuple[Any, ...]]]


def read_table(warehouse: Warehouse, table: Table) -> dict[str, tuple[Any, ...]]:
    """Return the rows of a table's view, by ID."""
    names = [ID_COLUMN, *(column.name for column in table.columns)]
    with warehouse.query(f"SELECT {', '.join(names)} FROM {table.name}") as answer:
        rows = list(answer.rows)
    found = {row[0]: tuple(map(_plain, row[1:])) for row in rows}
    assert len(found) == len(rows), "duplicate ID"
    return found


def read_contents(warehouse: Warehouse) -> Contents:
    return {table.name: read_table(warehouse, table) for table in WAREHOUSE_TABLES}


def compute_contents() -> Contents:
    """Return the contents of an up-to-date warehouse."""
    personal = get_settings().warehouse_personal_data
    found: Contents = {}
    for table in WAREHOUSE_TABLES:
        rows = [table.row(one, 1, personal=personal) for one in get_db()[table.name].find()]
        found[table.name] = {
            to_id_text(row[ID_COLUMN]): tuple(_plain(row[column.name]) for column in table.columns)
            for row in rows
            if not row["deleted"]
        }
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "isoformat"):
        return value.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return to_id_text(value)


def export_all(warehouse: Warehouse) -> None:
    """Settle everything, then export everything."""
    settle_all()
    while export_next_changes(warehouse):
        pass
