"""The wake-ups for imported records."""

from collections.abc import Mapping

from bson import ObjectId
from mongoengine import signals

from documents.storage.fast_insert import StoredRow
from documents.storage.record import Record


def wake_workers(document: type[Record], one_of_each: Mapping[ObjectId, ObjectId]) -> None:
    """Wake a worker for one imported record of each group. The worker also takes the others.

    MongoEngine takes longer to make a document than to store it, so receivers get only the IDs.

    Args:
        one_of_each: the ID of one record, by the group that a worker settles together.
    """
    rows = [StoredRow(id_) for id_ in one_of_each.values()]
    signals.post_bulk_insert.send(document, documents=rows, loaded=False)
