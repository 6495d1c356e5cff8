"""The due mark, and the indexes that find marked and unique records."""

from typing import Any

from bson import ObjectId
from mongoengine import get_db

from matchback.engine import due

DUE_FILTER = due.DUE_FILTER
due_index = due.due_index


def find_due_groups(source: str, ids: list[ObjectId], group: str, **more: Any) -> list[ObjectId]:
    """By what records are settled together, e.g. their fundraiser_id, as far as they are due."""
    found = get_db()[source].find({"_id": {"$in": ids}, **DUE_FILTER, **more}, {group: 1})
    # By these ids: the index of what is due may hold far more.
    return list(dict.fromkeys(row[group] for row in found.hint([("_id", 1)])))


def build_text_condition(**condition: Any) -> dict[str, Any]:
    """A condition on a field with a `unique_index`: text(eq="x") or text(in_=["x", "y"]).

    MongoDB uses a partial index only for a query that says what the index is limited to.
    """
    return {
        "$type": "string",
        **{f"${name.strip('_')}": value for name, value in condition.items()},
    }


def known_index(*fields: str) -> dict[str, Any]:
    """An index of the records that have the first of these that is not their organization's.

    What settling fills in is missing in a new record. An index that held the missing, too, would
    cost a key when the record is stored, and taking that away when it is settled. MongoDB uses this
    one for any value that is asked for, but not for those that have none.
    """
    known = next(field for field in fields if field != "organization_id")
    return {
        "fields": list(fields),
        "name": "_".join(["known", *fields]),
        "partialFilterExpression": {known: {"$exists": True}},
    }


def failed_index() -> dict[str, Any]:
    """The index by which failed jobs are found; nearly always empty."""
    return {
        "fields": ["organization_id", "trouble.failed_at"],
        "name": "failed",
        "partialFilterExpression": {"trouble.failed_at": {"$type": "date"}},
    }


def unique_index(field: str) -> dict[str, Any]:
    """A string field that is unique in its organization, among the records that have it."""
    return {
        "fields": ["organization_id", field],
        "unique": True,
        "partialFilterExpression": {field: {"$type": "string"}},
    }


def text_index(field: str) -> dict[str, Any]:
    """A string field by which the records of an organization that have it are found."""
    return {key: value for key, value in unique_index(field).items() if key != "unique"}
