"""The migration that gives emails of earlier versions the segment of their mailbox provider.

The attributes that a user had at that time are unknown, so these emails stay without a value of any
attribute. The provider comes from the user's present address and the organization's present
domains.
"""

from collections.abc import Iterable
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from documents.migrations.counting import count_settled_rows
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.segments.recording import SegmentOwner, build_segment_row_of
from documents.values.attributes import MAILBOX_PROVIDER
from documents.values.mailbox_provider import find_mailbox_provider
from matchback.engine import Tx

WITHOUT_SEGMENTS_FILTER = {"segment_ids": None, "deleted_at": None}


def add_provider_segments(tx: Tx, emails: list[EmailRow]) -> None:
    """Put emails into the segment of their mailbox provider, and count them there.

    Emails of erased users get an empty list, because their address is unknown. From then on, their
    fundraiser and their mailing count their gifts, too.
    """
    providers = _find_providers(tx, emails)
    segments: dict[ObjectId, dict[str, Any]] = {}
    updates = []
    for email in emails:
        email["segment_ids"] = []
        if provider := providers.get(email["user_id"]):
            owner = SegmentOwner(
                email["organization_id"], email["fundraiser_id"], email.get("mailing_id")
            )
            segment = build_segment_row_of(owner, MAILBOX_PROVIDER, provider)
            segments[segment["_id"]] = segment
            email["segment_ids"].append(segment["_id"])
        updates.append(
            UpdateOne({"_id": email["_id"]}, {"$set": {"segment_ids": email["segment_ids"]}})
        )
    _store(tx, segments.values())
    if updates:
        tx.database.emails.bulk_write(updates, ordered=False, session=tx.session)
        count_settled_rows(tx, "emails", emails)


def _find_providers(tx: Tx, emails: list[EmailRow]) -> dict[ObjectId, str]:
    """Return the mailbox provider of each user whose address is known."""
    organizations = list({email["organization_id"] for email in emails})
    found = tx.database.organizations.find(
        {"_id": {"$in": organizations}}, {"email_domains": 1}, session=tx.session
    )
    domains = {row["_id"]: row.get("email_domains", ()) for row in found}
    users = collection(tx.database, UserRow).find(
        {"_id": {"$in": list({email["user_id"] for email in emails})}},
        {"email": 1, "organization_id": 1},
        session=tx.session,
    )
    return {
        user["_id"]: find_mailbox_provider(user["email"], domains[user["organization_id"]])
        for user in users
        if "@" in user["email"]
    }


def _store(tx: Tx, segments: Iterable[dict[str, Any]]) -> None:
    operations = [
        UpdateOne({"_id": row["_id"]}, {"$setOnInsert": row}, upsert=True) for row in segments
    ]
    if operations:
        tx.database.segments.bulk_write(operations, ordered=False, session=tx.session)
