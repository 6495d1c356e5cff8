"""Gift changes of one settlement, which its transaction stores."""

from collections.abc import Callable
from typing import Any, cast

from documents.history.gift_rules import CountedGift, list_kinds
from documents.rows.donation import DonationRow
from matchback.engine import Tx, Update, make_journal_id


class GiftChanges:
    """Observer of donations."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._rows: list[dict[str, Any]] = []

    def note(self, source: str, row: dict[str, Any], update: Update) -> None:
        gift = cast("DonationRow", row)
        before, after = CountedGift.counted(gift), CountedGift.of(gift)
        if before == after:
            return
        number = gift.get("changes", 0)
        # A gift that an earlier version counted has no number.
        is_first = not number and not gift.get("counted")
        kinds = list_kinds(gift, before, after, is_first=is_first)
        self._rows.append(
            {
                "_id": make_journal_id(self._tx.at),
                "organization_id": gift["organization_id"],
                "fundraiser_id": gift["fundraiser_id"],
                "mailing_id": after.mailing_id or before.mailing_id,
                "donation_id": gift["_id"],
                "at": self._tx.at,
                "kinds": kinds,
                "currency": gift["currency"],
                "before": before.to_stored(),
                "after": after.to_stored(),
                "difference": after.net - before.net,
                "refunded": after.refunded - before.refunded,
                "gifts": after.counts - before.counts,
            }
        )
        row["changes"] = number + 1
        update.set({"changes": number + 1})

    def write(self, send: Callable[..., None]) -> None:
        if self._rows:
            insert = self._tx.database.gift_changes.insert_many
            send(insert, self._rows, ordered=False, session=self._tx.session)
