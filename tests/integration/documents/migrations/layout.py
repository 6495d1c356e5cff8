"""Databases that an earlier version's own code has filled."""

from pathlib import Path
from typing import Any

from bson import json_util
from mongoengine import get_db

from documents.match import forget_match_layout


def load(name: str) -> dict[str, Any]:
    """Load the dump with its indexes into the test's database. Return its recorded responses."""
    read: dict[str, Any] = json_util.loads(Path(__file__).with_name(name).read_text())
    told: dict[str, Any] = read.pop("_cast")
    for collection in get_db().list_collection_names():
        get_db()[collection].drop()
    for collection, kept in read.items():
        for index in kept["indexes"]:  # fast while the collection is empty
            options = {key: value for key, value in index.items() if key not in ("key", "name")}
            keys = list(index["key"].items())
            get_db()[collection].create_index(keys, name=index["name"], **options)
        if kept["documents"]:
            get_db()[collection].insert_many(kept["documents"])
    forget_match_layout()
    return told


def content() -> dict[str, Any]:
    """Return all stored data, except the progress of migrations."""
    kept = set(get_db().list_collection_names()) - {"migrations", "leases"}
    return {name: list(get_db()[name].find().sort("_id", 1)) for name in sorted(kept)}
