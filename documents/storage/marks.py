"""Due mark, and the indexes that find marked and unique records."""

from typing import Any

from bson import ObjectId
from mongoengine import get_db

from matchback.engine import due

DUE_FILTER = due.DUE_FILTER
due_index = due.due_index


def find_due_groups(source: str, ids: list[ObjectId], group: str, **more: Any) -> list[Any]:
    """Return the values that group due records for settling, such as their fundraisers."""
    found = get_db()[source].find({"_id": {"$in": ids}, **DUE_FILTER, **more}, {group: 1})
    # Search by these IDs, because the index of due records may be far larger.
    return list(dict.fromkeys(row[group] for row in found.hint([("_id", 1)])))


def build_text_condition(**condition: Any) -> dict[str, Any]:
    """Return a condition on a field with a `unique_index`, from `eq="x"` or `in_=["x", "y"]`.

    MongoDB uses a partial index only if the query repeats the index's filter.
    """
    return {
        "$type": "string",
        **{f"${name.strip('_')}": value for name, value in condition.items()},
    }


def known_index(*fields: str) -> dict[str, Any]:
    """Return a partial index of the records in which the first own field exists.

    New records lack the fields that settling adds. A full index would cost a key for the missing
    value at insert, and its removal at settling. MongoDB uses a partial index to search for values,
    but not for missing fields.
    """
    known = next(field for field in fields if field != "organization_id")
    return {
        "fields": list(fields),
        "name": "_".join(["known", *fields]),
        "partialFilterExpression": {known: {"$exists": True}},
    }


def failed_index(*, of_organizations: bool = True) -> dict[str, Any]:
    """Return the index that finds failed jobs. It is nearly always empty.

    Args:
        of_organizations: whether the records belong to organizations.
    """
    owner = ["organization_id"] if of_organizations else []
    return {
        "fields": [*owner, "trouble.failed_at"],
        "name": "failed",
        "partialFilterExpression": {"trouble.failed_at": {"$type": "date"}},
    }


def unique_index(field: str) -> dict[str, Any]:
    """Return an index that makes a string field unique in an organization, where it is set."""
    return {
        "fields": ["organization_id", field],
        "unique": True,
        "partialFilterExpression": {field: {"$type": "string"}},
    }


def text_index(field: str) -> dict[str, Any]:
    """Return an index that finds an organization's records by a string field, where it is set."""
    return {key: value for key, value in unique_index(field).items() if key != "unique"}
