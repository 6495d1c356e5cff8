"""Databases that an earlier version's own code has filled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bson import json_util
from mongoengine import get_db
from pymongo import IndexModel
from pymongo.collection import Collection

from documents.index_tables.former_layout import forget_former_layout
from documents.match import forget_match_layout
from tools.testbed.emptied import delete_records


def load(name: str) -> dict[str, Any]:
    """Load the dump with its indexes into the test's database. Return its recorded responses."""
    read: dict[str, Any] = json_util.loads(Path(__file__).with_name(name).read_text())
    told: dict[str, Any] = read.pop("_cast")
    delete_records(get_db())
    for collection in get_db().list_collection_names():
        if not read.get(collection, {"indexes": []})["indexes"]:
            get_db()[collection].drop()
    for collection, kept in read.items():
        _replace_indexes(get_db()[collection], kept["indexes"])
        if kept["documents"]:
            get_db()[collection].insert_many(kept["documents"])
    forget_match_layout()
    forget_former_layout()
    return told


def _replace_indexes(collection: Collection[dict[str, Any]], kept: list[dict[str, Any]]) -> None:
    """Give a collection exactly these indexes.

    Most of them exist. MongoDB keeps the files of dropped ones open for minutes, which slows it.
    """
    wanted = {each["name"]: _describe(each) for each in kept}
    found = {each["name"]: _describe(each) for each in collection.list_indexes()}
    equal = {name for name, index in found.items() if wanted.get(name) == index}
    for name in found.keys() - equal - {"_id_"}:
        collection.drop_index(name)
    if missing := [_read_index(each) for each in kept if each["name"] not in equal]:
        collection.create_indexes(missing)


def _describe(index: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes two indexes equal. The order of the keys counts."""
    ignored = {"v", "background"}
    described = {name: value for name, value in index.items() if name not in ignored}
    return described | {"key": list(index["key"].items())}


def _read_index(kept: dict[str, Any]) -> IndexModel:
    options = {name: value for name, value in kept.items() if name != "key"}
    return IndexModel(list(kept["key"].items()), **options)


def content() -> dict[str, Any]:
    """Return all stored data, except the progress of migrations."""
    kept = set(get_db().list_collection_names()) - {"migrations", "leases"}
    return {name: list(get_db()[name].find().sort("_id", 1)) for name in sorted(kept)}
