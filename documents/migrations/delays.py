"""The migration that adds the hours from the email to each matched gift, and counts them."""

from typing import Any

from pymongo import UpdateOne

from documents.migrations.counting import count_settled_rows
from documents.rows.donation import DonationRow
from documents.values.delays import find_delay_key
from matchback.engine import Tx

MATCHED_FILTER = {"email_id": {"$type": "objectId"}}


def add_delays(tx: Tx, rows: list[DonationRow]) -> None:
    """Add the class of the time after the email to gifts that lack it."""
    gifts = [row for row in rows if "delay" not in row and not row.get("follows")]
    ids = list({gift["email_id"] for gift in gifts if gift.get("email_id")})
    found = tx.database.emails.find({"_id": {"$in": ids}}, {"sent_at": 1}, session=tx.session)
    times: dict[Any, Any] = {email["_id"]: email.get("sent_at") for email in found}
    operations, changed = [], []
    for gift in gifts:
        if sent_at := times.get(gift.get("email_id")):
            gift["delay"] = find_delay_key(sent_at, gift["donated_at"])
            operations.append(UpdateOne({"_id": gift["_id"]}, {"$set": {"delay": gift["delay"]}}))
            changed.append(gift)
    if operations:
        tx.database.donations.bulk_write(operations, ordered=False, session=tx.session)
        count_settled_rows(tx, "donations", changed)
