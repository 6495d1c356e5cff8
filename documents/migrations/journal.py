"""The migrations that note since when the journal of mailings and fundraisers is complete.

They run when no worker of an earlier version does. So from then on, all workers keep the journal.
"""

from typing import Any

from documents.migrations.migration import RowChange
from documents.values.time import now
from matchback.engine import Tx


def start_journal(collection: str) -> RowChange:
    """Return a change that notes the current time on records that no migration has noted.

    A record that was created during the upgrade also gets it, because a worker of the earlier
    version may have settled its first gifts. Settling writes to the same record. So a settlement
    that this transaction does not see fails, starts again, and has a later time.
    """

    def start(tx: Tx, rows: list[Any]) -> None:
        ids = [row["_id"] for row in rows if _has_no_start(row)]
        if ids:
            noted = {"$set": {"journal_from": now()}}
            tx.database[collection].update_many({"_id": {"$in": ids}}, noted, session=tx.session)

    return start


def _has_no_start(row: dict[str, Any]) -> bool:
    return row.get("journal_from") in (None, row.get("created_at"))
