"""Gift changes of one settlement, which its transaction stores."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, cast

from bson import ObjectId

from documents.history.gift_rules import CountedGift, StoredChange, build_change
from documents.rows.donation import DonationRow
from matchback.engine import Tx, Update, make_journal_id

CHANGES_PER_ROW = 1000


class GiftChanges:
    """Observer of donations."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._changes: defaultdict[tuple[ObjectId, ObjectId], list[StoredChange]]
        self._changes = defaultdict(list)

    def note(self, source: str, row: dict[str, Any], update: Update) -> None:
        gift = cast("DonationRow", row)
        before, after = CountedGift.counted(gift), CountedGift.of(gift)
        if before == after:
            return
        owner = gift["organization_id"], gift["fundraiser_id"]
        self._changes[owner].append(build_change(gift, before, after))
        if not after.counts and not gift.get("stopped"):
            row["stopped"] = True
            update.set({"stopped": True})

    def write(self, send: Callable[..., None]) -> None:
        rows = [
            {
                "_id": make_journal_id(self._tx.at),
                "organization_id": organization_id,
                "fundraiser_id": fundraiser_id,
                "at": self._tx.at,
                "changes": changes[start : start + CHANGES_PER_ROW],
            }
            for (organization_id, fundraiser_id), changes in self._changes.items()
            for start in range(0, len(changes), CHANGES_PER_ROW)
        ]
        if rows:
            insert = self._tx.database.gift_changes.insert_many
            send(insert, rows, ordered=False, session=self._tx.session)
