"""The people that the lines of an import name by address."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.imports.inserts import insert_missing
from documents.index_tables.user_index import add_missing_rows, delete_rows
from documents.people.spellings import index_people, list_all_address_keys
from documents.rows.collections import collection
from documents.rows.user import UserRow
from documents.storage.marks import build_text_condition
from documents.storage.record import build_record_row
from documents.user import User, build_user_values
from documents.values.time import now


def find_people(scope: Mapping[str, Any], emails: Mapping[str, str]) -> dict[str, ObjectId]:
    """Return the IDs of the users with these addresses, in any spelling, by canonical address.

    Args:
        scope: the condition for the organization's live records.
        emails: the addresses, by canonical address.
    """
    if not emails:
        return {}
    keys = list_all_address_keys(emails.values())
    query = {"address": build_text_condition(in_=keys), **scope}
    known = index_people(collection(get_db(), UserRow).find(query, {"address": 1, "email": 1}))
    return {address: id_ for address, email in emails.items() if (id_ := known.get(email))}


def add_people(
    organization_id: ObjectId, people: Mapping[str, Mapping[str, str]]
) -> dict[str, ObjectId]:
    """Add users with these names and addresses, unless a user has the address meanwhile.

    Return the IDs of the added users, by canonical address.

    Args:
        people: a name and an email for each canonical address.
    """
    mark = {"rematch_due": now()}  # the same for all, so that one update removes their marks
    rows: list[UserRow] = [
        build_record_row(
            User,
            organization_id=organization_id,
            **build_user_values(person["name"], person["email"]) | mark,
        )
        for person in people.values()
    ]
    add_missing_rows(rows)
    if refused := insert_missing(UserRow, rows):
        delete_rows([rows[place]["_id"] for place in refused])
    return {
        address: row["_id"]
        for place, (address, row) in enumerate(zip(people, rows, strict=True))
        if place not in refused
    }
