"""Correlation: finding the email that an event belongs to. It reads once for each batch.

The event's `email_id` decides first. If it is missing or wrong, the provider's message ID decides,
if an earlier event tied that message. Otherwise, the address and the mailing in a category decide.
A bounce that names only an address belongs to the only recent email; see `recent_emails.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.email import MAILED_FILTER
from documents.message import find_known_emails, list_message_keys
from documents.people.spellings import PeopleByAddress, index_people, list_all_address_keys
from documents.rows.collections import T, collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.rows.fundraiser import MailingRow
from documents.rows.user import UserRow
from documents.storage.marks import build_text_condition
from documents.tracking.recent_emails import RecentEmails, names_only_address
from matchback.engine import Tx

CorrelationMethod = str  # "email_id", "message", "address" or "only_recent_email"


def choose_email(
    event: EventRow,
    named: ObjectId | None,
    by_message: ObjectId | None,
    addressed: Sequence[EmailRow],
    only_recent: ObjectId | None = None,
) -> tuple[ObjectId, CorrelationMethod] | None:
    """Choose the email that an event belongs to. Return it with the method, or None.

    Args:
        event: the event's row.
        named: email in the event's `email_id`, if the organization has it.
        by_message: email that an earlier event tied to the same message.
        addressed: emails to the event's address, of the mailings in its categories.
        only_recent: the only recent email, if the event is a bounce that names only an address.
    """
    if named is not None:
        return named, "email_id"
    if by_message is not None:
        return by_message, "message"
    if addressed:
        return max(addressed, key=lambda email: _nearness(event, email))["_id"], "address"
    if only_recent is not None:
        return only_recent, "only_recent_email"
    return None


def _nearness(event: EventRow, email: EmailRow) -> tuple[bool, datetime, ObjectId]:
    """Prefer the latest email sent before the event, then an email without a known time."""
    sent_at = email.get("sent_at")
    if sent_at is not None and sent_at <= event["at"]:
        return True, sent_at, email["_id"]
    return False, event["at"], email["_id"]


class Correlation:
    """The data that ties a batch of events of one organization to emails.

    Args:
        named: existing emails that events name by their IDs.
        learned: messages that the batch itself ties to emails.
    """

    def __init__(
        self,
        tx: Tx,
        organization_id: ObjectId,
        named: Iterable[ObjectId] = (),
        learned: dict[ObjectId, ObjectId] | None = None,
    ) -> None:
        self._tx = tx
        self._scope: dict[str, Any] = {"organization_id": organization_id, "deleted_at": None}
        self._named = set(named)
        self._messages = dict(learned or {})
        self._users: PeopleByAddress[ObjectId] = PeopleByAddress(())
        self._mailings: dict[str, list[MailingRow]] = {}
        self._emails: defaultdict[tuple[ObjectId, ObjectId], list[EmailRow]] = defaultdict(list)
        self._recent = RecentEmails(tx, organization_id)

    def read_candidates(self, events: Sequence[EventRow]) -> None:
        """Read the data that can tie these events, which have no valid `email_id`."""
        if not events:
            return
        keys = {key for event in events for key in list_message_keys(event)} - self._messages.keys()
        found = find_known_emails(self._tx, keys)
        live = {row["_id"] for row in self._find(EmailRow, {"_id": {"$in": list(found.values())}})}
        self._messages |= {key: email_id for key, email_id in found.items() if email_id in live}
        self._look_up_mailings({name for event in events for name in event.get("category", ())})
        if self._mailings:
            self._look_up_emails({event.get("address", "") for event in events})
        self._recent.read([event for event in events if self._is_bare_bounce(event)])

    def _look_up_mailings(self, categories: set[str]) -> None:
        ids = [ObjectId(name) for name in categories if ObjectId.is_valid(name) and len(name) == 24]
        wanted = {"$or": [{"_id": {"$in": ids}}, {"name": {"$in": sorted(categories)}}]}
        for mailing in self._find(MailingRow, wanted, "name", "fundraiser_id"):
            for name in {str(mailing["_id"]), mailing["name"]} & categories:
                self._mailings.setdefault(name, []).append(mailing)

    def _look_up_emails(self, addresses: set[str]) -> None:
        query = {"address": build_text_condition(in_=list_all_address_keys(addresses))}
        users = list(self._find(UserRow, query, "address", "email"))
        self._users = index_people(users)
        mailing_ids = {mailing["_id"] for same in self._mailings.values() for mailing in same}
        wanted = {
            "user_id": {"$in": [user["_id"] for user in users]},
            "mailing_id": {"$in": list(mailing_ids)},
            **MAILED_FILTER,
        }
        for email in self._find(EmailRow, wanted, "user_id", "mailing_id", "sent_at"):
            self._emails[email["user_id"], email["mailing_id"]].append(email)

    def _find(self, row: type[T], query: dict[str, Any], *fields: str) -> Iterable[T]:
        return collection(self._tx.database, row).find(
            self._scope | query, dict.fromkeys(fields, 1), session=self._tx.session
        )

    def email_of(
        self, event: EventRow, named: ObjectId | None = None
    ) -> tuple[ObjectId, CorrelationMethod] | None:
        """Return the event's email and the method that found it, or None."""
        if named in self._named:
            return choose_email(event, named, None, ())  # the usual case
        user_id = self._users.get(event.get("address", ""))
        addressed = [
            email
            for mailing in self._mailings_of(event)
            for email in (self._emails[user_id, mailing["_id"]] if user_id else ())
        ]
        told = (self._messages.get(key) for key in list_message_keys(event))
        only_recent = self._recent.of(event) if self._is_bare_bounce(event) else None
        return choose_email(event, None, next(filter(None, told), None), addressed, only_recent)

    def _is_bare_bounce(self, event: EventRow) -> bool:
        """Return whether the event is a bounce that names an address, and no known mailing."""
        return names_only_address(event) and not self._mailings_of(event)

    def mailing_of(self, event: EventRow) -> MailingRow | None:
        """Return the mailing that the event's category names.

        If several match, return the latest.
        """
        return max(self._mailings_of(event), key=lambda mailing: mailing["_id"], default=None)

    def _mailings_of(self, event: EventRow) -> list[MailingRow]:
        return [
            mailing
            for name in event.get("category", ())
            for mailing in self._mailings.get(name, ())
        ]
