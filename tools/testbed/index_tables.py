"""Index tables of records that a test has inserted without settling them."""

from mongoengine import get_db

from documents.counters import LEDGER
from documents.storage.transaction import in_transaction
from matchback.engine import copy_again

ROWS_PER_TRANSACTION = 1_000


def fill_index_tables() -> None:
    """Add the missing rows of all users and emails."""
    for table in LEDGER.index_tables:
        ids = [row["_id"] for row in get_db()[table.source].find({}, {"_id": 1})]
        for start in range(0, len(ids), ROWS_PER_TRANSACTION):
            in_transaction(copy_again, table, ids[start : start + ROWS_PER_TRANSACTION])
