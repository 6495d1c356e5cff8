"""Lookup of a person by address, even in rows that have the key of an earlier layout.

A row has such a key until its migration. It keeps the key if another user of the organization
already has the new key of its address.
"""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from documents.rows.user import UserRow
from documents.values.address import fold_text, to_canonical, to_mailbox


def list_address_keys(email: str) -> list[str]:
    """Return the possible keys of a person with this address, current layout first."""
    return list(dict.fromkeys((to_canonical(email), fold_text(email))))


def list_all_address_keys(emails: Iterable[str]) -> list[str]:
    """Return the keys of all these addresses, sorted."""
    return sorted({key for email in emails for key in list_address_keys(email)})


def list_safe_keys(email: str) -> list[str]:
    """Return the keys that no other mailbox can have, for queries that do not check the address."""
    known = to_canonical(email)
    return [key for key in list_address_keys(email) if to_canonical(key) == known]


def list_mailboxes(email: str) -> set[str]:
    """Return the mailboxes under which the address may be stored."""
    earlier, at, domain = fold_text(email).rpartition("@")
    owner = earlier.partition("+")[0]
    return {to_mailbox(email), f"{owner}{at}{domain}" if owner else fold_text(email)}


T = TypeVar("T")


class PeopleByAddress(Generic[T]):
    """An index of the people in one organization by address.

    Args:
        found: for each person, the stored key, the address as spelled, and the value to return.
    """

    def __init__(self, found: Iterable[tuple[str, str, T]]) -> None:
        self._known: dict[str, tuple[str, T]] = {key: (email, who) for key, email, who in found}

    def get(self, email: str) -> T | None:
        """Return the value of the person with this address, in any spelling; None if unknown.

        Prefer the exact spelling. The key of an earlier layout is not enough, because "weiß" and
        "weiss" shared one.
        """
        for key in reversed(list_address_keys(email)):
            spelled, who = self._known.get(key, (None, None))
            if spelled is not None and to_canonical(spelled) == to_canonical(email):
                return who
        return None


def index_people(rows: Iterable[UserRow]) -> PeopleByAddress[Any]:
    """Return the IDs of users by address, from rows with `address` and `email`."""
    return PeopleByAddress((row["address"], row["email"], row["_id"]) for row in rows)
