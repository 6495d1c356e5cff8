"""The identity of a person during erasure: all data that identifies them in an organization."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bson import ObjectId
from mongoengine import get_db

from documents.erased.rules import Traces, normalize_names
from documents.giving_links.link_token import list_tokens
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.storage.marks import build_text_condition
from documents.values.address import fold_text, to_canonical, to_mailbox

ERASED_NAME = "(erased)"


@dataclass(frozen=True)
class Person:
    """A user, with the addresses and names that belong to no other user.

    Attributes:
        addresses: the addresses as stored.
        traces: the texts that identify the user.
        email_ids: the emails to the user.
    """

    organization_id: ObjectId
    user_id: ObjectId
    addresses: tuple[str, ...]
    traces: Traces
    email_ids: tuple[ObjectId, ...]

    def add_gift_traces(self, gift: DonationRow) -> Traces:
        """Return the person's traces together with those of the donor of their gift."""
        address = to_mailbox(gift.get("donor_email") or "")
        more = frozenset({address} if "@" in address else ())
        names = normalize_names([gift.get("donor_name") or ""])  # ignores "(erased)"
        both = {
            "mailboxes": self.traces.mailboxes | more,
            "names": self.traces.names | names,
        }
        return replace(self.traces, **both)


def identify_person(user: UserRow) -> Person:
    """Return the identity of a user whose erasure is due.

    Exclude addresses that now belong to another live user, because their traces are that user's.
    """
    organization_id, user_id = user["organization_id"], user["_id"]
    known = [name for name in (user.get("erasing"), *user.get("former_mailboxes", ())) if name]
    others = _others(organization_id, user_id, known)
    addresses = tuple(one for one in known if to_canonical(one) not in others)
    emails = collection(get_db(), EmailRow).find({"user_id": user_id}, {"_id": 1})
    email_ids = tuple(row["_id"] for row in emails)
    return Person(
        organization_id,
        user_id,
        addresses,
        Traces(
            mailboxes=frozenset(map(to_mailbox, addresses)) - others,
            addresses=frozenset(map(to_canonical, addresses)),
            others=others,
            names=normalize_names(user.get("erasing_names", ())),
            references=frozenset(_references(organization_id, email_ids)),
        ),
        email_ids,
    )


def _references(organization_id: ObjectId, email_ids: Iterable[ObjectId]) -> Iterator[str]:
    """Yield the IDs and tokens by which giving links and webhooks name emails."""
    for id_ in email_ids:
        yield str(id_)
        yield from list_tokens(organization_id, id_)


def list_stored_forms(addresses: Iterable[str]) -> list[str]:
    """Return the forms in which the current and earlier layouts store addresses."""
    return sorted(
        {form(one) for one in addresses for form in (to_canonical, fold_text, to_mailbox)}
    )


def _others(organization_id: ObjectId, user_id: ObjectId, known: list[str]) -> frozenset[str]:
    """Return the full addresses of other live users in the same mailboxes."""
    query = {
        "organization_id": organization_id,
        "mailbox": build_text_condition(in_=list_stored_forms(known)),
        "deleted_at": None,
        "_id": {"$ne": user_id},
    }
    found = collection(get_db(), UserRow).find(query, {"email": 1})
    return frozenset(to_canonical(row["email"]) for row in found)
