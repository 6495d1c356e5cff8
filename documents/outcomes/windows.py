"""Windows of participants, which begin when their mailing is sent.

A client can set that time after it recorded the emails. The settling of the mailing then stores a
note, and the sweep makes the mailing's emails due. Settling an email gives it the current window.
"""

from collections.abc import Sequence
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.email import MAILING_ID_INDEX
from documents.experiment import EXPERIMENT_FIELDS, build_window
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.fundraiser import MailingRow
from documents.values.time import now
from matchback.engine import Changes, Tx

MOVED_EMAILS_PER_WRITE = 1000


def update_windows(tx: Tx, changes: Changes, emails: Sequence[EmailRow]) -> None:
    """Give emails of experiments the window that follows from the current time of their mailing."""
    ids = list({email["mailing_id"] for email in emails})
    found = collection(tx.database, MailingRow).find(
        {"_id": {"$in": ids}}, dict.fromkeys(EXPERIMENT_FIELDS, 1), session=tx.session
    )
    mailings = {row["_id"]: row for row in found}
    for email in emails:
        mailing = mailings.get(email["mailing_id"])
        sent_at = mailing.get("sent_at") if mailing else None
        if mailing and sent_at and sent_at != email["outcome_from"]:
            window = build_window(mailing["experiment"], sent_at)
            email.update(window)  # type: ignore[typeddict-item]  # mypy expects all fields
            changes.update_of("emails", email["_id"]).set(window)


def note_moved_mailings(tx: Tx, changes: Changes) -> None:
    """Note the due mailings whose time changed after their experiment had started."""
    rows: list[MailingRow] = changes.rows["mailings"]
    for mailing in rows:
        if "windows_due" not in mailing:
            continue
        note = {
            "_id": ObjectId(),
            "organization_id": mailing["organization_id"],
            "due": now(),
            "moved_mailing_id": mailing["_id"],
        }
        tx.database.late_touches.insert_one(note, session=tx.session)
        changes.update_of("mailings", mailing["_id"]).unset("windows_due")


def mark_emails_of_moved(mailing_id: ObjectId) -> set[ObjectId]:
    """Make the emails of a mailing due whose window does not begin at the mailing's time.

    Return their fundraisers. A second run finds the emails that are left.
    """
    mailing = collection(get_db(), MailingRow).find_one({"_id": mailing_id}, {"sent_at": 1})
    sent_at = mailing.get("sent_at") if mailing else None
    if sent_at is None:
        return set()
    moved: dict[str, Any] = {
        "mailing_id": mailing_id,
        "arm_id": {"$exists": True},
        "outcome_from": {"$ne": sent_at},
        "deleted_at": None,
    }
    fundraisers: set[ObjectId] = set()
    emails, after = collection(get_db(), EmailRow), ObjectId(b"\0" * 12)
    while True:
        found = emails.find(moved | {"_id": {"$gt": after}}, {"fundraiser_id": 1})
        page = list(found.sort("_id", 1).limit(MOVED_EMAILS_PER_WRITE).hint(MAILING_ID_INDEX))
        if not page:
            return fundraisers
        emails.update_many({"_id": {"$in": [row["_id"] for row in page]}}, {"$set": {"due": now()}})
        fundraisers |= {row["fundraiser_id"] for row in page}
        after = page[-1]["_id"]
