"""The warehouse follows a migration that renames match classes."""

import pytest
from mongoengine import get_db

from documents.migrations.upgrade import upgrade_database
from documents.storage import former_match
from jobs.warehouse.engine import Warehouse
from jobs.warehouse.exporter import Exporter
from jobs.warehouse.tables import DONATION_TABLE
from tests.integration.documents.migrations.layout import load
from tools.testbed.warehouse_contents import compute_contents, read_contents, read_table

MATCH_COLUMN = [column.name for column in DONATION_TABLE.columns].index("match")


def read_matches(warehouse: Warehouse) -> set[str | None]:
    return {row[MATCH_COLUMN] for row in read_table(warehouse, DONATION_TABLE).values()}


def test_renamed_classes_are_exported_again(
    exporting: pytest.MonkeyPatch, duckdb: Warehouse
) -> None:
    load("third_layout.json")
    with exporting.context() as earlier_version:
        earlier_version.setattr(former_match, "get_current_match", lambda stored, rule: stored)
        Exporter(duckdb).run()
    assert read_matches(duckdb) == {"direct", "indirect", "unresolved", None}
    renamed = set(get_db().donations.distinct("_id", {"match": {"$exists": True}}))
    list(upgrade_database())
    noted = {id_ for note in get_db().unexported.find() for id_ in note.get("donations", ())}
    assert renamed <= noted
    Exporter(duckdb).run()
    assert read_matches(duckdb) == {"link", "address", "pinned", "none", None}
    assert read_contents(duckdb) == compute_contents()
