"""Each engine merges by ID and version, queries without changes, and writes Parquet."""

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from jobs.warehouse.duckdb import DuckDB
from jobs.warehouse.engine import QueryError, Warehouse, WarehouseError, open_warehouse
from jobs.warehouse.parquet import write_parquet_file
from jobs.warehouse.row_file import RowFile
from jobs.warehouse.tables import (
    DONATION_TABLE,
    FUNDRAISER_TABLE,
    MAX_COLUMN_TEXT_LENGTH,
    TABLE_BY_NAME,
    Table,
)
from tools.testbed.warehouse_contents import read_table

AT = datetime(2026, 11, 25, 12, 30, 0, 123000)  # noqa: DTZ001  (the warehouse's are all UTC)
TEXTS = {
    "empty": "",
    "quotes": 'it\'s "quoted"',
    "control": "two\nlines\t\\",
    "zero": "\u0000zero",
    "Unicode": "Ünïcödé 🎓",
    "null": None,
    "long": "x" * 2000,
}
REJECTED_QUERIES = (
    "DROP VIEW fundraisers",
    "DELETE FROM fundraisers_rows",
    "SELECT nonsense",
    "",
    "x;",
)


def fundraiser(id_: str, version: int, name: str | None = "Spring", **more: Any) -> dict[str, Any]:
    row = FUNDRAISER_TABLE.tombstone(id_, version)
    return {**row, "name": name, "deleted": False, "starts_at": AT, "goal_amount": 5, **more}


def names(warehouse: Warehouse) -> dict[str, Any]:
    with warehouse.query("SELECT id, name FROM fundraisers") as answer:
        return dict(answer.rows)


def test_the_highest_version_wins_in_every_order(warehouse: Warehouse) -> None:
    newer, older = fundraiser("a", 2, "new"), fundraiser("a", 1, "old")
    for rows in ([newer], [older], [newer], [older, fundraiser("b", 1, "other")]):
        warehouse.merge({FUNDRAISER_TABLE: rows})
    assert names(warehouse) == {"a": "new", "b": "other"}
    warehouse.merge({FUNDRAISER_TABLE: [fundraiser("a", 3, "newest")]})
    assert names(warehouse) == {"a": "newest", "b": "other"}


def test_deleted_rows_stay_deleted(warehouse: Warehouse) -> None:
    warehouse.merge({FUNDRAISER_TABLE: [fundraiser("a", 1), fundraiser("b", 1)]})
    warehouse.merge({FUNDRAISER_TABLE: [FUNDRAISER_TABLE.tombstone("a", 3)]})
    warehouse.merge({FUNDRAISER_TABLE: [fundraiser("a", 2)]})
    assert names(warehouse) == {"b": "Spring"}


def test_rows_older_than_the_fill_are_deleted(warehouse: Warehouse) -> None:
    warehouse.merge(
        {FUNDRAISER_TABLE: [fundraiser("a", 4), fundraiser("b", 5), fundraiser("c", 9)]}
    )
    warehouse.drop_older(FUNDRAISER_TABLE, 5)
    assert names(warehouse) == {"b": "Spring", "c": "Spring"}
    warehouse.merge({FUNDRAISER_TABLE: [fundraiser("a", 4)]})
    assert names(warehouse) == {"b": "Spring", "c": "Spring"}


def test_text_is_stored_unchanged(warehouse: Warehouse) -> None:
    rows = [fundraiser(id_, 1, text) for id_, text in TEXTS.items()]
    warehouse.merge({FUNDRAISER_TABLE: rows})
    kept = names(warehouse)
    # PostgreSQL stores no NUL character.
    assert kept.pop("zero") in {TEXTS["zero"], "zero"}
    assert kept == {id_: text for id_, text in TEXTS.items() if id_ != "zero"}


def test_times_and_numbers_survive_a_round_trip(warehouse: Warehouse) -> None:
    warehouse.merge({FUNDRAISER_TABLE: [fundraiser("a", 1, goal_amount=2**53 + 1)]})
    row = read_table(warehouse, FUNDRAISER_TABLE)["a"]
    columns = [column.name for column in FUNDRAISER_TABLE.columns]
    assert row[columns.index("starts_at")] == "2026-11-25T12:30:00.123"
    assert row[columns.index("goal_amount")] == 2**53 + 1
    assert row[columns.index("ends_at")] is None


def test_a_query_changes_nothing_and_a_bad_query_is_reported(warehouse: Warehouse) -> None:
    warehouse.merge({FUNDRAISER_TABLE: [fundraiser("a", 1)]})
    for query in REJECTED_QUERIES:
        with pytest.raises(QueryError), warehouse.query(query) as answer:
            list(answer.rows)
        assert names(warehouse) == {"a": "Spring"}, query


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO '/tmp/stolen'",
        "SELECT * FROM read_text('/etc/hostname')",
        "ATTACH '/tmp/other.duckdb'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_a_query_cannot_read_local_files(tmp_path: Path, query: str) -> None:
    warehouse = open_warehouse(f"duckdb:///{tmp_path / 'warehouse.duckdb'}")
    warehouse.prepare()
    with pytest.raises(WarehouseError), warehouse.query(query) as answer:
        list(answer.rows)


def test_a_repeated_preparation_keeps_data_and_adds_new_columns(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.merge({FUNDRAISER_TABLE: [fundraiser("a", 1)]})
    module = type(warehouse).__module__
    more = Table("fundraisers", (*FUNDRAISER_TABLE.columns, DONATION_TABLE.columns[-1]))
    monkeypatch.setattr(f"{module}.STORED_TABLES", (more,))
    warehouse.prepare()
    assert names(warehouse) == {"a": "Spring"}
    with warehouse.query("SELECT external_id FROM fundraisers") as answer:
        assert list(answer.rows) == [(None,)]


def test_a_table_becomes_a_parquet_file(warehouse: Warehouse, tmp_path: Path) -> None:
    rows = [fundraiser(f"{number:05}", 1, "it's 🎓") for number in range(25_000)]
    warehouse.merge({FUNDRAISER_TABLE: [*rows, FUNDRAISER_TABLE.tombstone("gone", 1)]})
    file = tmp_path / "fund raisers'.parquet"
    assert warehouse.write_parquet(FUNDRAISER_TABLE, file) == len(rows)
    with duckdb.connect() as reader:
        read = reader.execute(
            "SELECT count(*), min(name), max(starts_at), sum(goal_amount) FROM read_parquet($1)",
            [str(file)],
        ).fetchone()
    assert read == (len(rows), "it's 🎓", AT, 5 * len(rows))


def test_long_texts_are_truncated() -> None:
    event = {"_id": b"\x01", "type": "click", "url": "https://x.example/" + "y" * 5000}
    row = TABLE_BY_NAME["events"].row(event, 1, personal=False)
    assert len(row["link"]) == MAX_COLUMN_TEXT_LENGTH


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://127.0.0.1:1/x?password=secret",
        "clickhouse://user:secret@127.0.0.1:1/x",
        "duckdb:////proc/nowhere/x.duckdb",
        "postgresql://user:secret@host:notaport/x",
        "postgresql://user:secret@[bad/x",
        "clickhouse://user:secret@[bad/x",
    ],
)
def test_an_unavailable_warehouse_is_reported_without_its_password(url: str) -> None:
    with pytest.raises(WarehouseError) as raised:
        open_warehouse(url).merge({FUNDRAISER_TABLE: [fundraiser("a", 1)]})
    assert "secret" not in str(raised.value)


def test_rows_are_on_disk_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process leaves no rows, which have donors and would outlive an organization."""
    folder = tmp_path / "ware[house]*"
    found = DuckDB(folder / "it.duckdb")
    found.prepare()
    listed: list[set[str]] = []
    name = RowFile.name_for_reading

    def name_and_list(file: RowFile) -> str:
        listed.append({one.name for one in folder.iterdir()})
        return name(file)

    monkeypatch.setattr(RowFile, "name_for_reading", name_and_list)
    found.merge({FUNDRAISER_TABLE: [fundraiser("a", 1)], DONATION_TABLE: []})
    found.merge({FUNDRAISER_TABLE: [fundraiser("b", 1, "Autumn")]})
    assert names(found) == {"a": "Spring", "b": "Autumn"}
    written = write_parquet_file(FUNDRAISER_TABLE, iter([]), folder / "it.parquet")
    assert (written, len(listed)) == (0, 3)
    assert set().union(*listed) <= {"it.duckdb", "it.duckdb.wal"}
