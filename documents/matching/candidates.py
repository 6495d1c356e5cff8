"""Candidates for each gift in a batch: the user with its address, and the possible emails. Pure.

`reading.py` reads `BatchEvidence` in the transaction that decides the gifts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId

from documents.giving_links.references import EmailReference
from documents.matching.fitting import Candidate
from documents.matching.rules import Decision, MatchEvidence, Pin
from documents.people.spellings import list_mailboxes
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.storage.former_match import read_match
from documents.values.address import fold_text, to_canonical, to_mailbox

# Erasure replaces a person's mailbox with this prefix and the user's ID.
ERASED_DONOR_PREFIX = "erased:"


@dataclass(frozen=True)
class BatchEvidence:
    """Everything that decides a batch of one fundraiser's gifts, read from one snapshot.

    Attributes:
        gifts: the gifts to decide.
        firsts: the first instalment of each plan, by `recurring_id`. It can also be in `gifts`.
        references: the email that each gift names, and the kind of reference, by the gift's ID.
        users: the user who has the donor's address, by the gift's ID.
        emails: live emails that a gift, a pin or a first instalment refers to, by ID.
        to_users: live emails of the fundraiser, by the recipient's user ID.
        email_rows: the complete rows of `emails`.
    """

    gifts: Sequence[DonationRow] = ()
    firsts: Mapping[str, DonationRow] = field(default_factory=dict)
    references: Mapping[ObjectId, EmailReference] = field(default_factory=dict)
    users: Mapping[ObjectId, ObjectId] = field(default_factory=dict)
    emails: Mapping[ObjectId, Candidate] = field(default_factory=dict)
    to_users: Mapping[ObjectId, Sequence[Candidate]] = field(default_factory=dict)
    email_rows: Mapping[ObjectId, EmailRow] = field(default_factory=dict)

    def list_donor_emails(self, gift: DonationRow) -> Sequence[Candidate]:
        """Return the fundraiser's emails to the user who has the donor's address."""
        user_id = self.users.get(gift["_id"])
        return self.to_users.get(user_id, ()) if user_id else ()

    def of_gift(self, gift: DonationRow, first: Decision | None) -> MatchEvidence:
        """Return the evidence for one gift.

        Args:
            first: the decision on the first instalment, if the gift follows one.
        """
        reference = self.references.get(gift["_id"])
        named = self.emails.get(reference[0]) if reference else None
        how: Any = {"named_by": reference[1]} if reference else {}
        return MatchEvidence(
            self._pin(gift), first, named, donors=self.list_donor_emails(gift), **how
        )

    def _pin(self, gift: DonationRow) -> Pin | None:
        if not (pin := gift.get("pin")):
            return None
        id_ = pin["email_id"]
        email = self.emails.get(id_) if id_ else None
        return Pin(email, is_gone=id_ is not None and email is None)

    def earlier_decision(self, first: DonationRow) -> Decision:
        """Return the stored decision on a first instalment that this batch does not decide."""
        stored: Any = first["decision"]
        matched: Any = read_match(first)
        email_id = first.get("email_id")
        email = self.emails.get(email_id) if email_id else None
        return Decision(matched, stored["rule"], email, stored.get("touch"))


@dataclass
class Users:
    """The users whose addresses a batch of gifts names.

    Attributes:
        current: users, by their current mailbox.
        former: users, by each of their former mailboxes.
    """

    current: dict[str, list[UserRow]] = field(default_factory=dict)
    former: dict[str, list[UserRow]] = field(default_factory=dict)

    def find(self, gift: DonationRow) -> ObjectId | None:
        """Return the user with the donor's address.

        A current mailbox takes precedence over a former mailbox. Among several users, the order of
        preference is:

        1. the same spelling of the address
        2. the same address, including its "+tag"
        3. an address without a "+tag"
        4. the user who was added first
        """
        stored = gift.get("donor_mailbox")
        if not stored:
            return None
        if is_erased_donor(stored):
            return ObjectId(stored.removeprefix(ERASED_DONOR_PREFIX))
        spelled = gift.get("donor_email") or stored
        where, address, folded = to_mailbox(spelled), to_canonical(spelled), fold_text(spelled)
        former = (self.former[name] for name in (where, stored) if name in self.former)
        users = self.current.get(where) or next(former, ())

        def rank(user: UserRow) -> tuple[bool, bool, bool, ObjectId]:
            key = to_canonical(user["email"])
            return fold_text(user["email"]) != folded, key != address, key != where, user["_id"]

        return min(users, key=rank)["_id"] if users else None


def is_erased_donor(donor_mailbox: str | None) -> bool:
    """Return whether a gift's donor was erased.

    A real address can start with the same prefix, but always contains an "@".
    """
    known = donor_mailbox or ""
    return known.startswith(ERASED_DONOR_PREFIX) and "@" not in known


def mailboxes_of_donor(gift: DonationRow) -> set[str]:
    """Return the mailboxes under which users may store the donor's address."""
    stored = gift.get("donor_mailbox")
    if not stored or is_erased_donor(stored):
        return set()
    return {stored, *list_mailboxes(gift.get("donor_email") or stored)}


def to_candidate(row: EmailRow) -> Candidate:
    """Convert an email's row to a candidate for the rules."""
    return Candidate(
        id=row["_id"],
        mailing_id=row.get("mailing_id"),
        sent_at=row.get("sent_at"),
        first_opened_at=row.get("first_opened_at"),
        first_clicked_at=row.get("first_clicked_at"),
        delivered_at=row.get("delivered_at"),
        bounced_at=row.get("bounced_at"),
        dropped_at=row.get("dropped_at"),
        fundraiser_id=row["fundraiser_id"],
        user_id=row["user_id"],
    )
