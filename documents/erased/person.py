"""The identity of a person during erasure: everything by which an organization knows them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bson import ObjectId
from mongoengine import get_db

from documents.erased.rules import Traces, names_of
from documents.giving_links.link_token import tokens
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.storage.marks import text
from documents.values.address import canonical, fold, mailbox

ERASED_NAME = "(erased)"


@dataclass(frozen=True)
class Person:
    """A user, with the addresses and names that are only theirs.

    addresses: as they were stored. email_ids: the emails that the user was sent.
    """

    organization_id: ObjectId
    user_id: ObjectId
    addresses: tuple[str, ...]
    traces: Traces
    email_ids: tuple[ObjectId, ...]

    def with_gift(self, gift: DonationRow) -> Traces:
        """Return the traces, and those of the donor that a gift of theirs names."""
        address = mailbox(gift.get("donor_email") or "")
        more = frozenset({address} if "@" in address else ())
        names = names_of([gift.get("donor_name") or ""])  # "(erased)" is none
        both = {
            "mailboxes": self.traces.mailboxes | more,
            "names": self.traces.names | names,
        }
        return replace(self.traces, **both)


def person_of(user: UserRow) -> Person:
    """Return what a marked user is known by.

    An address that another live user has by now is left out, because its traces are that user's.
    """
    organization_id, user_id = user["organization_id"], user["_id"]
    known = [name for name in (user.get("erasing"), *user.get("former_mailboxes", ())) if name]
    others = _others(organization_id, user_id, known)
    addresses = tuple(one for one in known if canonical(one) not in others)
    emails = collection(get_db(), EmailRow).find({"user_id": user_id}, {"_id": 1})
    email_ids = tuple(row["_id"] for row in emails)
    return Person(
        organization_id,
        user_id,
        addresses,
        Traces(
            mailboxes=frozenset(map(mailbox, addresses)) - others,
            addresses=frozenset(map(canonical, addresses)),
            others=others,
            names=names_of(user.get("erasing_names", ())),
            references=frozenset(_references(organization_id, email_ids)),
        ),
        email_ids,
    )


def _references(organization_id: ObjectId, email_ids: Iterable[ObjectId]) -> Iterator[str]:
    """Yield what giving links and webhooks name emails by."""
    for id_ in email_ids:
        yield str(id_)
        yield from tokens(organization_id, id_)


def stored_forms(addresses: Iterable[str]) -> list[str]:
    """Return the forms in which this layout and earlier ones store addresses."""
    return sorted({form(one) for one in addresses for form in (canonical, fold, mailbox)})


def _others(organization_id: ObjectId, user_id: ObjectId, known: list[str]) -> frozenset[str]:
    """Return the whole addresses that other live users have in the same mailboxes."""
    query = {
        "organization_id": organization_id,
        "mailbox": text(in_=stored_forms(known)),
        "deleted_at": None,
        "_id": {"$ne": user_id},
    }
    found = collection(get_db(), UserRow).find(query, {"email": 1})
    return frozenset(canonical(row["email"]) for row in found)
