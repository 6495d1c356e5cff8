"""Removal of records. A record can be removed only after its children. All rules are here."""

from typing import Any

from mongoengine import get_db

from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.digests.choice import end_digests_about, end_digests_of_staff
from documents.donation import Donation
from documents.email import Email
from documents.errors import Conflict
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.match import LINK_FIELDS, find_linked_gifts
from documents.sensitivity.stored import end_sensitivity
from documents.storage.record import Record
from documents.user import User
from matchback.engine import Tx

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


def _has_child(record: Record, child: type[Record], link: str) -> bool:
    if child is Donation and link in LINK_FIELDS:
        live = {"organization_id": record.organization_id, "deleted_at": None}
        return any(find_linked_gifts(Tx(get_db()), link, [record.id], live, {"_id": 1}))
    return child.live(record.organization_id, **{link: record.id}).first() is not None


def remove_record(record: Record) -> None:
    """Delete a record. Settling then reverses its counts and matches its gifts again.

    Raises:
        Conflict: the record has children.
    """
    kind = type(record)
    for child, link in CHILD_RECORDS.get(kind, ()):
        if _has_child(record, child, link):
            noun, children = kind.__name__.lower(), child._get_collection_name()
            raise Conflict(f"This {noun} has {children}. Delete them first.")
    record.mark_deleted(**FREED_FIELDS.get(kind, {}))
    if kind is Fundraiser:
        end_digests_about([record.id])
        end_sensitivity([record.id])


def remove_staff(staff: Staff, *, counts_invited: bool = False) -> None:
    """Remove a staff member with their sessions and digests.

    Args:
        counts_invited: see `change_role`.

    Raises:
        Conflict: the member is the organization's last admin.
    """
    remove_member(staff, counts_invited=counts_invited)
    end_digests_of_staff([staff.id])
