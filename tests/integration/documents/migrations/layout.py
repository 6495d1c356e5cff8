"""Databases that an earlier version's own code has filled."""

from pathlib import Path
from typing import Any

from bson import json_util
from mongoengine import get_db
from pymongo import IndexModel

from documents.index_tables.former_layout import forget_former_layout
from documents.match import forget_match_layout


def load(name: str) -> dict[str, Any]:
    """Load the dump with its indexes into the test's database. Return its recorded responses."""
    read: dict[str, Any] = json_util.loads(Path(__file__).with_name(name).read_text())
    told: dict[str, Any] = read.pop("_cast")
    for collection in get_db().list_collection_names():
        get_db()[collection].drop()
    for collection, kept in read.items():
        if kept["indexes"]:  # before the documents, because MongoDB indexes nothing faster
            get_db()[collection].create_indexes([*map(_read_index, kept["indexes"])])
        if kept["documents"]:
            get_db()[collection].insert_many(kept["documents"])
    forget_match_layout()
    forget_former_layout()
    return told


def _read_index(kept: dict[str, Any]) -> IndexModel:
    options = {name: value for name, value in kept.items() if name != "key"}
    return IndexModel(list(kept["key"].items()), **options)


def content() -> dict[str, Any]:
    """Return all stored data, except the progress of migrations."""
    kept = set(get_db().list_collection_names()) - {"migrations", "leases"}
    return {name: list(get_db()[name].find().sort("_id", 1)) for name in sorted(kept)}
