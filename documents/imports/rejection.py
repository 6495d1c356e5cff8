"""A rejected line of an import of an uploaded file. Its reasons hold none of its values."""

from collections.abc import Iterable
from typing import Any

from bson import ObjectId
from mongoengine import DictField, IntField, ListField, ObjectIdField, QuerySet

from documents.storage.record import Record

MAX_REJECTIONS = 10_000  # of one import


class Rejection(Record):
    """A rejected line. The import deletes and stores those of a batch again after a crash."""

    import_id = ObjectIdField(required=True)
    line = IntField(required=True)
    errors = ListField(DictField())

    meta = {"collection": "import_rejections", "indexes": [["import_id", "line"]]}

    @classmethod
    def of(cls, import_id: ObjectId) -> QuerySet:
        """Return the rejected lines of an import, in order."""
        return cls.objects(import_id=import_id).order_by("line")

    @classmethod
    def replace(
        cls,
        organization_id: ObjectId,
        import_id: ObjectId,
        lines: tuple[int, int],
        refused: Iterable[dict[str, Any]],
    ) -> None:
        """Store the rejected lines of a batch.

        Args:
            lines: first and last line of the batch.
            refused: the lines with their errors.
        """
        first, last = lines
        cls.objects(import_id=import_id, line__gte=first, line__lte=last).delete()
        rows = [
            cls(
                organization_id=organization_id,
                import_id=import_id,
                line=one["line"],
                errors=one["errors"],
            )
            for one in refused
        ]
        if rows:
            cls.objects.insert(rows, load_bulk=False)
