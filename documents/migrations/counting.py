"""Changes to counted records, shared by the migrations of several collections."""

from typing import Any

from pymongo import UpdateOne

from documents.counters import LEDGER
from documents.donor import make_donor_id
from documents.rows.donation import DonationRow
from matchback.engine import Changes, Tx, settle


def name_donors(tx: Tx, gifts: list[DonationRow]) -> None:
    """Identify donors without a user by their mailboxes.

    Change both the stored gifts and the given rows.
    """
    operations = []
    for gift in gifts:
        if not gift.get("match") or gift.get("user_id"):
            continue
        known = {"fundraiser_donor_id": make_donor_id("fundraiser", gift["fundraiser_id"], gift)}
        if mailing_id := gift.get("mailing_id"):
            known["mailing_donor_id"] = make_donor_id("mailing", mailing_id, gift)
        changed: Any = known
        gift.update(changed)
        operations.append(UpdateOne({"_id": gift["_id"]}, {"$set": known}))
    if operations:
        tx.database.donations.bulk_write(operations, ordered=False, session=tx.session)


def count_settled_rows(tx: Tx, collection: str, rows: list[Any]) -> None:
    """Settle rows again, so that their counters and stored contributions have the current form.

    Skip due and failed rows, because the worker that settles them does the same.
    """
    settled = [row for row in rows if "due" not in row and "trouble" not in row]
    if settled:
        settle(tx, LEDGER, Changes(rows={collection: settled}))
