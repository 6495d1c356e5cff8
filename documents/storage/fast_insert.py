"""Fast inserts of gifts and webhook deliveries, without MongoEngine's `save()`.

Creating a document, checking and converting its fields, and serialising it take a processor as long
as the insert. This module makes a row from the class's defaults and inserts it in one round trip.
Everything else that saving means still holds: the check of the owner, the due mark, unique fields,
and `post_save`, which schedules the job.
"""

from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from mongoengine import signals
from pymongo.errors import DuplicateKeyError

from config.database import catch_up
from documents.errors import Conflict
from documents.storage.record import INSERT_ATTEMPTS, Source, new_row
from documents.storage.tenancy import check_owner
from documents.values.time import now


@dataclass(frozen=True)
class Stored:
    """What a receiver of `post_save` learns of a row: enough for a wake-up."""

    id: ObjectId


def insert_source(document: type[Source], **values: Any) -> Any:
    """Store a new record that is to be counted. Return its row.

    The caller has checked the client's values.

    Raises:
        DuplicateKeyError: another record has its id, or one of its unique fields.
    """
    check_owner(values["organization_id"])
    row = new_row(document, due=now(), **values)
    document._get_collection().insert_one(row)  # type: ignore[attr-defined]
    signals.post_save.send(document, document=Stored(row["_id"]), created=True)
    return row


def insert_source_unless(
    document: type[Source], same: dict[str, Any], **values: Any
) -> tuple[Any, bool]:
    """The same, or find the row of the record that is there already. Says whether it is new.

    A record with the id given in advance is this very one, stored by a request that died.

    Args:
        same: by which the record is found that has what must be unique.

    Raises:
        Conflict: neither, several times: what stood in the way was never a majority's.
    """
    collection = document._get_collection()  # type: ignore[attr-defined]
    own = {"_id": values.get("_id"), "organization_id": values["organization_id"]}
    for _ in range(INSERT_ATTEMPTS):
        try:
            return insert_source(document, **values), True
        except DuplicateKeyError:
            catch_up()  # so that whoever looks for the other record finds it
            if values.get("_id") and (row := collection.find_one(own)) is not None:
                return row, True
            # A primary that is deposed at this moment may have refused for a record that is
            # rolled back: then there is nothing to find, and nothing in the way any more.
            if (row := collection.find_one(same)) is not None:
                return row, False
    raise Conflict("The record is being made by another request; try again.")
