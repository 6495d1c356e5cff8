"""Removal of records. A record can be removed only after its children. All rules are here."""

from typing import Any

from documents.donation import Donation
from documents.email import Email
from documents.errors import Conflict
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.storage.record import Record
from documents.user import User

CHILD_RECORDS: dict[type[Record], tuple[tuple[type[Record], str], ...]] = {
    User: ((Email, "user_id"), (Donation, "user_id")),
    Fundraiser: (
        (Mailing, "fundraiser_id"),
        (Email, "fundraiser_id"),
        (Donation, "fundraiser_id"),
    ),
    Mailing: ((Email, "mailing_id"),),
}

# Fields that a deleted record clears, so that another record can use the value and no search finds
# the deleted record.
FREED_FIELDS: dict[type[Record], dict[str, Any]] = {
    User: {"address": None, "mailbox": None, "words": []},
    Email: {"import_key": None},
}


def remove_record(record: Record) -> None:
    """Delete a record. Settling then reverses its counts and matches its gifts again.

    Raises:
        Conflict: the record has children.
    """
    kind = type(record)
    for child, link in CHILD_RECORDS.get(kind, ()):
        if child.live(record.organization_id, **{link: record.id}).first():
            noun, children = kind.__name__.lower(), child._get_collection_name()
            raise Conflict(f"This {noun} has {children}. Delete them first.")
    record.mark_deleted(**FREED_FIELDS.get(kind, {}))
