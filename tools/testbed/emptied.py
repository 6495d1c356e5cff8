"""A database that tests share: its records go before each test, and its indexes stay."""

from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from config import database
from config.database import DatabaseClient
from documents.migrations.indexes import (
    REPLACED_INDEXES,
    drop_indexes,
    update_indexes,
)

# The server counts these commands, whichever process sends them.
INDEX_COMMANDS = (
    "createIndexes",
    "dropIndexes",
    "drop",
    "dropDatabase",
    "collMod",
    "renameCollection",
)
# The status has thousands of fields, so only the needed ones are decoded.
UNREAD = CodecOptions(document_class=RawBSONDocument)


def empty(emptied: Database[dict[str, Any]]) -> None:
    """Delete all records, and end what processes that died have left on the server."""
    emptied.client.admin.command({"killAllSessions": []})  # Their transactions hold records.
    emptied.command("profile", 0)
    delete_records(emptied)


def delete_records(emptied: Database[dict[str, Any]]) -> None:
    """Delete all records. Indexes stay. Profiles and definitions of views go."""
    names = emptied.list_collection_names()
    system = [name for name in names if name.startswith("system.")]
    for name in system:
        emptied.drop_collection(name)
    for name in _name_filled(emptied, sorted(set(names) - set(system))):
        emptied[name].delete_many({})


def _name_filled(asked: Database[dict[str, Any]], names: list[str]) -> list[str]:
    """Return the collections that have a record. One command asks about all of them."""
    if not names:
        return []
    first, *others = names
    unions = [{"$unionWith": {"coll": name, "pipeline": _look(name)}} for name in others]
    return [row["from"] for row in asked[first].aggregate([*_look(first), *unions])]


def _look(name: str) -> list[dict[str, Any]]:
    return [{"$limit": 1}, {"$project": {"from": name}}]


def restore_indexes(known: list[int]) -> list[int]:
    """Create the indexes of the connected database if any process may have changed them.

    Args:
        known: what this returned last, or nothing.
    """
    mongo = database.get_client()
    if known and known == _count_index_commands(mongo):
        return known
    update_indexes()
    for retired in REPLACED_INDEXES.values():  # a migration's test may have made them
        drop_indexes(retired)
    return _count_index_commands(mongo)


def _count_index_commands(mongo: DatabaseClient) -> list[int]:
    """Return how often each command that can change an index has run since the server's start."""
    asked = {"serverStatus": 1, "repl": 0, "wiredTiger": 0, "tcmalloc": 0}
    commands = mongo.admin.command(asked, codec_options=UNREAD)["metrics"]["commands"]
    return [int(commands[name]["total"]) for name in INDEX_COMMANDS]
