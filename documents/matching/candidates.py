"""The candidates of a batch of gifts: all their possible emails, read with a few queries."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from bson import ObjectId

from documents.giving_links.references import Reference, resolve
from documents.matching.rules import Candidate, Decision, Evidence, Pin
from documents.people.spellings import mailboxes
from documents.storage.marks import text
from documents.values.address import canonical, fold, mailbox
from matchback.engine import Row, Tx

OF_EMAILS = ("fundraiser_id", "mailing_id", "user_id", "sent_at", "first_opened_at")
FIELDS = dict.fromkeys((*OF_EMAILS, "first_clicked_at"), 1)
OF_USERS = dict.fromkeys(("email", "address", "mailbox", "former_mailboxes"), 1)
ERASED = "erased:"  # and the user's id, in place of the mailbox of somebody who was erased


class Candidates:
    """What matching needs to know of a batch of gifts of one fundraiser.

    Args:
        firsts: first instalments that were matched before; their emails are needed, too.
    """

    def __init__(self, tx: Tx, gifts: Sequence[Row], firsts: Iterable[Row] = ()) -> None:
        self._tx = tx
        self._scope: Row = {}
        self._refs: dict[ObjectId, Reference | None] = {}
        self._emails: dict[ObjectId, Candidate] = {}
        self._to_user: defaultdict[ObjectId, list[Candidate]] = defaultdict(list)
        self._users: dict[str, list[Row]] = {}
        self._former: dict[str, list[Row]] = {}
        if gifts:
            self._scope = {"organization_id": gifts[0]["organization_id"], "deleted_at": None}
            self._refs = {
                gift["_id"]: resolve(gift["organization_id"], gift.get("email_ref"))
                for gift in gifts
            }
            self._read(gifts, [first["email_id"] for first in firsts if first.get("email_id")])

    def _read(self, gifts: Sequence[Row], known: list[ObjectId]) -> None:
        ids = {ref[0] for ref in self._refs.values() if ref}
        ids |= {pin["email_id"] for gift in gifts if (pin := gift.get("pin"))}
        wanted = {"_id": {"$in": list(ids | set(known))}}
        self._emails = {row["_id"]: _candidate(row) for row in self._find("emails", wanted, FIELDS)}
        self._read_users({name for gift in gifts for name in _mailboxes(gift)})
        user_ids = {id_ for gift in gifts if (id_ := self.user_id(gift))}
        to_users = {
            "user_id": {"$in": list(user_ids)},
            "fundraiser_id": gifts[0]["fundraiser_id"],
        }
        for row in self._find("emails", to_users, FIELDS):
            self._to_user[row["user_id"]].append(_candidate(row))

    def _read_users(self, mailboxes: set[str]) -> None:
        named = text(in_=sorted(mailboxes))
        # One after the other: MongoDB uses no partial index for an $or of them.
        for user in self._find("users", {"mailbox": named}, OF_USERS):
            self._users.setdefault(mailbox(user["email"]), []).append(user)
        for user in self._find("users", {"former_mailboxes": named}, OF_USERS):
            for name in user["former_mailboxes"]:
                self._former.setdefault(name, []).append(user)

    def _find(self, name: str, query: Row, fields: dict[str, int]) -> list[Row]:
        return list(
            self._tx.database[name].find(self._scope | query, fields, session=self._tx.session)
        )

    def user_id(self, gift: Row) -> ObjectId | None:
        """Return the user with the donor's address.

        Who has this very address goes before who has it with another «+tag», and that one before
        who once had it. Of several, who spells it so, then who has it without a tag, then who was
        added first.
        """
        stored = gift.get("donor_mailbox")
        if not stored:
            return None
        if is_erased(stored):
            return ObjectId(stored.removeprefix(ERASED))
        spelled = gift.get("donor_email") or stored
        where, address, folded = mailbox(spelled), canonical(spelled), fold(spelled)
        former = (self._former[name] for name in (where, stored) if name in self._former)
        users = self._users.get(where) or next(former, ())

        def rank(user: Row) -> tuple[bool, bool, bool, ObjectId]:
            key = canonical(user["email"])
            return fold(user["email"]) != folded, key != address, key != where, user["_id"]

        return min(users, key=rank)["_id"] if users else None

    def to_donor(self, gift: Row) -> list[Candidate]:
        """The emails to that user, of the gift's fundraiser."""
        user_id = self.user_id(gift)
        return self._to_user[user_id] if user_id else []

    def evidence(self, gift: Row, first: Decision | None) -> Evidence:
        """All that speaks for one email or another."""
        ref = self._refs[gift["_id"]]
        named = self._emails.get(ref[0]) if ref else None
        how: Any = {"named_by": ref[1]} if ref else {}
        return Evidence(self._pin(gift), first, named, donors=self.to_donor(gift), **how)

    def _pin(self, gift: Row) -> Pin | None:
        if not gift.get("pin"):
            return None
        id_ = gift["pin"]["email_id"]
        email = self._emails.get(id_)
        return Pin(email, is_gone=id_ is not None and email is None)

    def decision_of(self, first: Row) -> Decision:
        """What was decided before of a first instalment."""
        email = self._emails.get(first.get("email_id"))  # type: ignore[arg-type]
        kept = first["decision"]
        return Decision(first["match"], kept["rule"], email, kept.get("touch"))


def is_erased(donor_mailbox: str | None) -> bool:
    """Whether a gift's donor was erased. An address may begin like that, but has an "@"."""
    known = donor_mailbox or ""
    return known.startswith(ERASED) and "@" not in known


def _mailboxes(gift: Row) -> set[str]:
    """Return the mailboxes that a gift's donor may be stored under."""
    stored = gift.get("donor_mailbox")
    if not stored or is_erased(stored):
        return set()
    return {stored, *mailboxes(gift.get("donor_email") or stored)}


def _candidate(row: Row) -> Candidate:
    return Candidate(
        id=row["_id"],
        mailing_id=row.get("mailing_id"),
        sent_at=row.get("sent_at"),
        first_opened_at=row.get("first_opened_at"),
        first_clicked_at=row.get("first_clicked_at"),
        fundraiser_id=row["fundraiser_id"],
        user_id=row["user_id"],
    )
