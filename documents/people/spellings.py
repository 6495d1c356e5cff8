"""Lookup of a person by address, also in rows that have the key of an earlier layout.

A row has such a key until its migration. It keeps the key if another user of the organization has
the key that its address would get now.
"""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from documents.rows.user import UserRow
from documents.values.address import canonical, fold, mailbox


def keys(email: str) -> list[str]:
    """Return the keys that a person with this address may have, today's first."""
    return list(dict.fromkeys((canonical(email), fold(email))))


def all_keys(emails: Iterable[str]) -> list[str]:
    """Return the keys of all of these addresses, in their order of sorting."""
    return sorted({key for email in emails for key in keys(email)})


def safe_keys(email: str) -> list[str]:
    """Return the keys that no other mailbox has, for a query whose answer is not looked at."""
    known = canonical(email)
    return [key for key in keys(email) if canonical(key) == known]


def mailboxes(email: str) -> set[str]:
    """Return the mailboxes under which the address may be stored."""
    earlier, at, domain = fold(email).rpartition("@")
    owner = earlier.partition("+")[0]
    return {mailbox(email), f"{owner}{at}{domain}" if owner else fold(email)}


T = TypeVar("T")


class People(Generic[T]):
    """People of one organization by their addresses.

    Args:
        found: of each person the stored key, the address as it is spelled, and what is looked for.
    """

    def __init__(self, found: Iterable[tuple[str, str, T]]) -> None:
        self._known: dict[str, tuple[str, T]] = {key: (email, who) for key, email, who in found}

    def get(self, email: str) -> T | None:
        """Return who has this address. The very spelling comes before the key of all spellings.

        An earlier key is not proof: it made one of "weiß" and "weiss".
        """
        for key in reversed(keys(email)):
            spelled, who = self._known.get(key, (None, None))
            if spelled is not None and canonical(spelled) == canonical(email):
                return who
        return None


def people(rows: Iterable[UserRow]) -> People[Any]:
    """Return the IDs of users by their addresses, of rows with `address` and `email`."""
    return People((row["address"], row["email"], row["_id"]) for row in rows)
