"""Changes to counted records that migrations of several collections share."""

from typing import Any

from pymongo import UpdateOne

from documents.counters import LEDGER
from documents.donor import donor_id
from documents.rows.donation import DonationRow
from matchback.engine import Changes, Tx, settle


def name_donors(tx: Tx, gifts: list[DonationRow]) -> None:
    """Name the donors of gifts of unknown people by their mailboxes, here and in the rows given."""
    operations = []
    for gift in gifts:
        if not gift.get("match") or gift.get("user_id"):
            continue
        known = {"fundraiser_donor_id": donor_id("fundraiser", gift["fundraiser_id"], gift)}
        if mailing_id := gift.get("mailing_id"):
            known["mailing_donor_id"] = donor_id("mailing", mailing_id, gift)
        changed: Any = known
        gift.update(changed)
        operations.append(UpdateOne({"_id": gift["_id"]}, {"$set": known}))
    if operations:
        tx.database.donations.bulk_write(operations, ordered=False, session=tx.session)


def count(tx: Tx, collection: str, rows: list[Any]) -> None:
    """Count what counts since, and keep what was counted in today's form.

    What is due is left: the worker that settles it does the same.
    """
    settled = [row for row in rows if "due" not in row and "trouble" not in row]
    if settled:
        settle(tx, LEDGER, Changes(rows={collection: settled}))
