"""Stand-ins for the records that an unknown address lacks.

To read the records of a person takes a quarter of a millisecond of the processor. An unknown
address takes as long, so that the time does not show which addresses exist.
"""

from datetime import UTC, datetime
from typing import Any

import bson
from bson import ObjectId

from documents.access.account import Account
from documents.people.spellings import PeopleByAddress
from documents.values.address import to_canonical

_ID, _TIME = ObjectId("0" * 24), datetime(2026, 1, 1, tzinfo=UTC)
_PERSON = {"_id": _ID, "name": "Nobody", "email": "nobody@example.edu", "epoch": 0}
_ACCOUNT = bson.encode(
    {
        **_PERSON,
        "address": "nobody@example.edu",
        "password": "$argon2id$" + "x" * 87,
        "created_at": _TIME,
        "joined_at": _TIME,
    }
)
_MEMBER = bson.encode(
    {
        **_PERSON,
        "organization_id": _ID,
        "account_id": _ID,
        "role": "viewer",
        "version": 0,
        "created_at": _TIME,
        "updated_at": _TIME,
        "last_sign_in_at": _TIME,
    }
)


def read_nobodys_account(email: str) -> None:
    """Do the work of reading the account of an address."""
    account = Account._from_son(bson.decode(_ACCOUNT))
    PeopleByAddress([(to_canonical(email), email, account)]).get(email)


def read_nobodys_membership(kind: type[Any]) -> None:
    """Do the work of reading a membership.

    Args:
        kind: class of memberships.
    """
    kind._from_son(bson.decode(_MEMBER))
