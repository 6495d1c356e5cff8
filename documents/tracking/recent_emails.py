"""Recent emails: the emails that a bounce can belong to if it names only an address.

A server can accept an email and return it later. Providers such as SendGrid report such an
asynchronous bounce without the email's ID. If only one email went to the address in the last 72
hours, the bounce belongs to that email.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from bson import ObjectId

from documents.email import MAILED_FILTER, USER_EMAILS_INDEX
from documents.message import list_message_keys
from documents.people.spellings import list_all_address_keys
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.rows.user import UserRow
from documents.storage.marks import build_text_condition
from documents.values.address import to_canonical
from matchback.engine import Tx

RECENT_EMAIL_PERIOD = timedelta(hours=72)
TIME_PRECISION = timedelta(seconds=1)
MAX_RECENT_EMAILS = 10_000  # for each batch; see RecentEmails.read
RECENT_EMAIL_FIELDS = ("user_id", "sent_at", "created_at", "delivered_at", "dropped_at")


def names_only_address(event: EventRow) -> bool:
    """Return whether the event is a bounce that names an address, and no email or message.

    Other types always name more. A dropped email never went out, and a spam report can arrive weeks
    after its email.
    """
    return (
        event["type"] == "bounce"
        and bool(event.get("address"))
        and not event.get("names_email")
        and not list_message_keys(event)
    )


def choose_only_recent(event: EventRow, emails: Iterable[EmailRow]) -> ObjectId | None:
    """Return the only email that went out in the 72 hours before the event, or None.

    Args:
        emails: live emails to the event's address.
    """
    recent = [email["_id"] for email in emails if _is_recent(event, email)]
    return recent[0] if len(recent) == 1 else None


def _is_recent(event: EventRow, email: EmailRow) -> bool:
    if email.get("dropped_at") and not email.get("delivered_at"):
        return False
    sent_at = email.get("sent_at") or email.get("created_at")
    if sent_at is None:
        return False
    # Providers report whole seconds, so an email of the same second came before the bounce.
    return event["at"] - RECENT_EMAIL_PERIOD <= sent_at < event["at"] + TIME_PRECISION


class RecentEmails:
    """The emails that went to the addresses of a batch of bounces, in one organization."""

    def __init__(self, tx: Tx, organization_id: ObjectId) -> None:
        self._tx = tx
        self._scope: dict[str, Any] = {"organization_id": organization_id, "deleted_at": None}
        self._emails: defaultdict[str, list[EmailRow]] = defaultdict(list)

    def read(self, bounces: Sequence[EventRow]) -> None:
        """Read the emails that went to the addresses of these bounces.

        If the batch has too many emails, keep none. An incomplete list could hide a second email.
        """
        if not bounces:
            return
        users = self._read_users({event["address"] for event in bounces})
        emails = self._read_emails(list(users), bounces)
        if len(emails) == MAX_RECENT_EMAILS:
            return
        for email in emails:
            self._emails[users[email["user_id"]]].append(email)

    def of(self, bounce: EventRow) -> ObjectId | None:
        """Return the only email that the bounce can belong to, or None."""
        emails = self._emails.get(to_canonical(bounce["address"]), ())
        return choose_only_recent(bounce, emails)

    def _read_users(self, addresses: set[str]) -> dict[ObjectId, str]:
        """Return the users with these addresses, each with its address in canonical form.

        Two users can share one address in two spellings; see documents/people/duplicate.py.
        """
        query = {"address": build_text_condition(in_=list_all_address_keys(addresses))}
        found = collection(self._tx.database, UserRow).find(
            self._scope | query, {"email": 1}, session=self._tx.session
        )
        return {user["_id"]: to_canonical(user["email"]) for user in found}

    def _read_emails(self, user_ids: list[ObjectId], bounces: Sequence[EventRow]) -> list[EmailRow]:
        times = [event["at"] for event in bounces]
        period = {"$gte": min(times) - RECENT_EMAIL_PERIOD, "$lt": max(times) + TIME_PRECISION}
        scope = {**self._scope, **MAILED_FILTER, "user_id": {"$in": user_ids}}
        # Two branches, so that MongoDB reads only this period from the index.
        either = [
            {**scope, "sent_at": period},
            {**scope, "sent_at": None, "created_at": period},
        ]
        found = collection(self._tx.database, EmailRow).find(
            {"$or": either},
            dict.fromkeys(RECENT_EMAIL_FIELDS, 1),
            limit=MAX_RECENT_EMAILS,
            batch_size=MAX_RECENT_EMAILS,
            hint=USER_EMAILS_INDEX,
            session=self._tx.session,
        )
        return list(found)
