"""The migrations that fill the index tables of users and emails."""

from typing import Any

from documents.counters import LEDGER
from documents.migrations.migration import RowChange
from matchback.engine import Tx, copy_again

USER_INDEX_MIGRATION, EMAIL_INDEX_MIGRATION = 22, 23


def fill_index_table(collection: str) -> RowChange:
    """Return a change that adds the missing rows of records to their index table."""

    def fill(tx: Tx, rows: list[Any]) -> None:
        for table in LEDGER.index_tables_of(collection):
            copy_again(tx, table, [row["_id"] for row in rows])

    return fill
