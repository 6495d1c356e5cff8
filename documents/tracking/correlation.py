"""Correlation: the email that an event belongs to. Reading happens once for each batch.

The `email_id` that the message carried decides. If it is absent or wrong, the message decides, if
an earlier event tied it to an email. Then the address decides, and the mailing that a category
names.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.message import known, message_keys
from documents.people.spellings import People, all_keys, people
from documents.rows.collections import T, collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.rows.fundraiser import MailingRow
from documents.rows.user import UserRow
from documents.storage.marks import text
from matchback.engine import Tx

How = str  # "email_id", "message" or "address"


def tie(
    event: EventRow,
    named: ObjectId | None,
    by_message: ObjectId | None,
    addressed: Sequence[EmailRow],
) -> tuple[ObjectId, How] | None:
    """Decide which email an event is of.

    Args:
        event: the event's row.
        named: the email its `email_id` names, if it is one of the organization's.
        by_message: the email that the message is known to be of.
        addressed: emails of the mailing that it names, to the address it names.
    """
    if named is not None:
        return named, "email_id"
    if by_message is not None:
        return by_message, "message"
    if addressed:
        return max(addressed, key=lambda email: _nearness(event, email))["_id"], "address"
    return None


def _nearness(event: EventRow, email: EmailRow) -> tuple[bool, datetime, ObjectId]:
    """The latest that was sent before the event; else one whose time is not known."""
    sent_at = email.get("sent_at")
    if sent_at is not None and sent_at <= event["at"]:
        return True, sent_at, email["_id"]
    return False, event["at"], email["_id"]


class Correlation:
    """What `tie` needs to know of a batch of events of one organization.

    Args:
        named: the emails that events name by their ids, as far as they exist.
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
        self._users: People[ObjectId] = People(())
        self._mailings: dict[str, list[MailingRow]] = {}
        self._emails: defaultdict[tuple[ObjectId, ObjectId], list[EmailRow]] = defaultdict(list)

    def look_up(self, events: Sequence[EventRow]) -> None:
        """Read what may tie these events, which name no email by its id."""
        if not events:
            return
        keys = {key for event in events for key in message_keys(event)} - self._messages.keys()
        found = known(self._tx, keys)
        live = {row["_id"] for row in self._find(EmailRow, {"_id": {"$in": list(found.values())}})}
        self._messages |= {key: email_id for key, email_id in found.items() if email_id in live}
        self._look_up_mailings({name for event in events for name in event.get("category", ())})
        if self._mailings:
            self._look_up_emails({event.get("address", "") for event in events})

    def _look_up_mailings(self, categories: set[str]) -> None:
        ids = [ObjectId(name) for name in categories if ObjectId.is_valid(name) and len(name) == 24]
        wanted = {"$or": [{"_id": {"$in": ids}}, {"name": {"$in": sorted(categories)}}]}
        for mailing in self._find(MailingRow, wanted, "name", "fundraiser_id"):
            for name in {str(mailing["_id"]), mailing["name"]} & categories:
                self._mailings.setdefault(name, []).append(mailing)

    def _look_up_emails(self, addresses: set[str]) -> None:
        query = {"address": text(in_=all_keys(addresses))}
        users = list(self._find(UserRow, query, "address", "email"))
        self._users = people(users)
        mailing_ids = {mailing["_id"] for same in self._mailings.values() for mailing in same}
        wanted = {
            "user_id": {"$in": [user["_id"] for user in users]},
            "mailing_id": {"$in": list(mailing_ids)},
        }
        for email in self._find(EmailRow, wanted, "user_id", "mailing_id", "sent_at"):
            self._emails[email["user_id"], email["mailing_id"]].append(email)

    def _find(self, row: type[T], query: dict[str, Any], *fields: str) -> Iterable[T]:
        return collection(self._tx.database, row).find(
            self._scope | query, dict.fromkeys(fields, 1), session=self._tx.session
        )

    def email_of(
        self, event: EventRow, named: ObjectId | None = None
    ) -> tuple[ObjectId, How] | None:
        """Which email the event is of, and how that is known."""
        if named in self._named:
            return tie(event, named, None, ())  # as nearly all are
        user_id = self._users.get(event.get("address", ""))
        addressed = [
            email
            for mailing in self._mailings_of(event)
            for email in (self._emails[user_id, mailing["_id"]] if user_id else ())
        ]
        told = (self._messages.get(key) for key in message_keys(event))
        return tie(event, None, next(filter(None, told), None), addressed)

    def mailing_of(self, event: EventRow) -> MailingRow | None:
        """The mailing that the event names, the latest where two have one name."""
        return max(self._mailings_of(event), key=lambda mailing: mailing["_id"], default=None)

    def _mailings_of(self, event: EventRow) -> list[MailingRow]:
        return [
            mailing
            for name in event.get("category", ())
            for mailing in self._mailings.get(name, ())
        ]
