"""Migrations that delete the last positions of finished walks over all records.

A position is the ID of a record, and would outlast the record's organization.
"""

from typing import Any

from documents.migrations.migration import Migration
from matchback.engine import Tx

FINISHED_MIGRATIONS_FILTER = {"finished_at": {"$ne": None}, "last_id": {"$exists": True}}
FINISHED_RELABELLING_FILTER = {"rule": {"$ne": None}, "after": {"$exists": True}}


def forget_last_ids(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Delete the positions of finished migrations."""
    _unset(tx, "migrations", rows, "last_id")


def forget_last_emails(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Delete the position of a finished relabelling."""
    _unset(tx, "relabellings", rows, "after")


def _unset(tx: Tx, collection: str, rows: list[dict[str, Any]], field: str) -> None:
    ids = [row["_id"] for row in rows]
    tx.database[collection].update_many(
        {"_id": {"$in": ids}}, {"$unset": {field: ""}}, session=tx.session
    )


POSITIONS_MIGRATIONS = (
    Migration(
        44,
        "Delete the positions of finished migrations",
        "migrations",
        forget_last_ids,
        FINISHED_MIGRATIONS_FILTER,
    ),
    Migration(
        45,
        "Delete the position of a finished relabelling",
        "relabellings",
        forget_last_emails,
        FINISHED_RELABELLING_FILTER,
    ),
)
