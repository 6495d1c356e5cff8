"""All records of a database, which a test stores again instead of creating them again."""

from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from tools.testbed.emptied import delete_records

RAW = CodecOptions(document_class=RawBSONDocument)
StoredRecords = dict[str, list[RawBSONDocument]]


def read_records(database: Database[dict[str, Any]]) -> StoredRecords:
    """Return all records by collection."""
    raw = database.with_options(codec_options=RAW)
    return {
        name: found
        for name in database.list_collection_names()
        if not name.startswith("system.") and (found := list(raw[name].find()))
    }


def store_records(database: Database[dict[str, Any]], records: StoredRecords) -> None:
    """Replace all records of the database."""
    delete_records(database)
    for name, rows in records.items():
        database[name].insert_many(rows)
