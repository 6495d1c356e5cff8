"""The wake-ups for imported records."""

from collections.abc import Iterable

from bson import ObjectId
from mongoengine import signals

from documents.storage.fast_insert import StoredRow
from documents.storage.record import Record


def wake_workers(document: type[Record], ids: Iterable[ObjectId]) -> None:
    """Wake a worker for one imported record of each group. The worker also takes the others.

    MongoEngine takes longer to make a document than to store it, so receivers get only the IDs.

    Args:
        ids: the ID of one record of each group that a worker settles together.
    """
    rows = [StoredRow(id_) for id_ in ids]
    signals.post_bulk_insert.send(document, documents=rows, loaded=False)
