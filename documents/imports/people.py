"""The people that the lines of an import name by address."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo import UpdateOne

from documents.imports.inserts import insert_missing
from documents.index_tables.user_index import add_missing_rows, delete_rows
from documents.people.spellings import index_people, list_all_address_keys
from documents.rows.collections import collection
from documents.rows.user import UserRow
from documents.storage.export_outbox import build_export_mark
from documents.storage.marks import build_text_condition
from documents.storage.record import build_record_row
from documents.user import User, build_user_values
from documents.values.attributes import Attributes, merge_attributes
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
    organization_id: ObjectId, people: Mapping[str, Mapping[str, Any]]
) -> dict[str, ObjectId]:
    """Add users with these names and addresses, unless a user has the address meanwhile.

    Return the IDs of the added users, by canonical address.

    Args:
        people: a name, an email and optionally attributes for each canonical address.
    """
    mark = {"rematch_due": now()}  # the same for all, so that one update removes their marks
    rows: list[UserRow] = [
        build_record_row(
            User,
            organization_id=organization_id,
            **build_user_values(person["name"], person["email"], person.get("attributes")) | mark,
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


class AttributeUpdates:
    """Attributes that the lines of a batch add to users who exist.

    Args:
        scope: the condition for the organization's live records.
        rows: the users with their attributes, by ID.
    """

    def __init__(self, scope: Mapping[str, Any], rows: Mapping[ObjectId, UserRow]) -> None:
        self._scope = scope
        self._known = {id_: row.get("attributes") or {} for id_, row in rows.items()}
        self._given: dict[ObjectId, dict[str, str]] = {}

    def add(self, user_id: ObjectId, given: Attributes) -> dict[str, str] | None:
        """Return the user's attributes with the given ones, or None if there are too many."""
        before = self._known.get(user_id, {})
        merged = merge_attributes(before, given)
        if merged is not None and merged != before:
            self._known[user_id] = merged
            self._given.setdefault(user_id, {}).update(given)
        return merged

    def write(self) -> None:
        """Store the added attributes. A request that replaces them at the same time can win."""
        also = {"updated_at": now(), **build_export_mark()}
        operations = [
            UpdateOne(
                {"_id": user_id, **self._scope},
                {
                    "$set": {f"attributes.{name}": value for name, value in given.items()} | also,
                    "$inc": {"version": 1},
                },
            )
            for user_id, given in self._given.items()
        ]
        if operations:
            collection(get_db(), UserRow).bulk_write(operations, ordered=False)
