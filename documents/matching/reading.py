"""The queries that read the evidence for a batch of gifts in one transaction.

Their number does not depend on the number of gifts, but each plan adds one query.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bson import ObjectId

from documents.email import MAILED_FILTER
from documents.giving_links.references import resolve_reference
from documents.matching.candidates import (
    BatchEvidence,
    Users,
    mailboxes_of_donor,
    to_candidate,
)
from documents.matching.fitting import Candidate
from documents.matching.instalments import counted_instalments
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.storage.marks import build_text_condition
from documents.values.address import to_mailbox
from matchback.engine import Tx

EMAIL_FIELDS = dict.fromkeys(
    (
        *("fundraiser_id", "mailing_id", "user_id"),
        *("sent_at", "first_opened_at", "first_clicked_at"),
        *("delivered_at", "bounced_at", "dropped_at"),
    ),
    1,
)
EVIDENCE_ROWS_PER_ANSWER = 5_000  # MongoDB's first answer has 101 rows by default
USER_FIELDS = dict.fromkeys(("email", "address", "mailbox", "former_mailboxes"), 1)

Choose = Callable[[Sequence[DonationRow], Mapping[str, DonationRow]], list[DonationRow]]


def read_evidence(tx: Tx, gifts: Sequence[DonationRow], choose: Choose) -> BatchEvidence:
    """Read all evidence for a batch of one fundraiser's gifts.

    Args:
        choose: picks the gifts to decide from the gifts and the first instalments of their plans.
    """
    firsts = _read_firsts(tx, gifts)
    chosen = choose(gifts, firsts)
    if not chosen:
        return BatchEvidence(firsts=firsts)
    organization_id = chosen[0]["organization_id"]
    fundraiser_id = chosen[0]["fundraiser_id"]
    live = _Live(tx, organization_id)
    found = {
        gift["_id"]: resolve_reference(organization_id, gift.get("email_ref")) for gift in chosen
    }
    references = {id_: reference for id_, reference in found.items() if reference}
    named = {id_ for id_, _ in references.values()}
    rows = live.read_emails(named | _stored_email_ids(chosen, firsts.values()))
    emails = {id_: to_candidate(row) for id_, row in rows.items()}
    people = live.read_users({name for gift in chosen for name in mailboxes_of_donor(gift)})
    users = {gift["_id"]: id_ for gift in chosen if (id_ := people.find(gift))}
    to_users = live.read_emails_to(set(users.values()), fundraiser_id)
    return BatchEvidence(chosen, firsts, references, users, emails, to_users, rows)


def _read_firsts(tx: Tx, gifts: Sequence[DonationRow]) -> dict[str, DonationRow]:
    """Read the first instalment of each plan. Reuse the row from `gifts` if it is there."""
    rows = {gift["_id"]: gift for gift in gifts}
    plans = {
        (gift["fundraiser_id"], gift["recurring_id"]) for gift in gifts if gift.get("recurring_id")
    }
    firsts: dict[str, DonationRow] = {}
    for fundraiser_id, recurring_id in plans:
        first = tx.database.donations.find_one(
            counted_instalments(fundraiser_id, recurring_id),
            sort=[("donated_at", 1), ("_id", 1)],
            session=tx.session,
        )
        if first is not None:
            firsts[recurring_id] = rows.get(first["_id"], first)
    return firsts


def _stored_email_ids(gifts: Iterable[DonationRow], firsts: Iterable[DonationRow]) -> set[ObjectId]:
    """Return the pinned emails, and those of first instalments that this batch does not decide."""
    pinned = {id_ for gift in gifts if (pin := gift.get("pin")) and (id_ := pin["email_id"])}
    decided = {gift["_id"] for gift in gifts}
    kept = [first for first in firsts if first["_id"] not in decided]
    return pinned | {id_ for first in kept if (id_ := first.get("email_id"))}


class _Live:
    """The live records of one organization."""

    def __init__(self, tx: Tx, organization_id: ObjectId) -> None:
        self._tx = tx
        self._scope: dict[str, Any] = {"organization_id": organization_id, "deleted_at": None}

    def read_emails(self, ids: set[ObjectId]) -> dict[ObjectId, EmailRow]:
        """Read emails by their IDs, with all fields, so that settling need not read them again."""
        query = {"_id": {"$in": list(ids)}, **MAILED_FILTER}
        found = self._find("emails", query, None) if ids else ()
        return {row["_id"]: row for row in found}

    def read_emails_to(
        self, user_ids: set[ObjectId], fundraiser_id: ObjectId
    ) -> dict[ObjectId, list[Candidate]]:
        """Read a fundraiser's emails to these users, and group them by user."""
        of = {"user_id": {"$in": list(user_ids)}, "fundraiser_id": fundraiser_id}
        query = {**of, **MAILED_FILTER}
        to_users: defaultdict[ObjectId, list[Candidate]] = defaultdict(list)
        for row in self._find("emails", query, EMAIL_FIELDS):
            to_users[row["user_id"]].append(to_candidate(row))
        return to_users

    def read_users(self, mailboxes: set[str]) -> Users:
        """Read the users who have or had one of these mailboxes."""
        users, named = Users(), build_text_condition(in_=sorted(mailboxes))
        # Two queries, because MongoDB cannot use the partial indexes for an $or of both conditions.
        for user in self._find("users", {"mailbox": named}, USER_FIELDS):
            users.current.setdefault(to_mailbox(user["email"]), []).append(user)
        for user in self._find("users", {"former_mailboxes": named}, USER_FIELDS):
            for name in user["former_mailboxes"]:
                users.former.setdefault(name, []).append(user)
        return users

    def _find(self, name: str, query: dict[str, Any], fields: dict[str, int] | None) -> list[Any]:
        found = self._tx.database[name].find(
            self._scope | query,
            fields,
            session=self._tx.session,
            batch_size=EVIDENCE_ROWS_PER_ANSWER,
        )
        return list(found)
