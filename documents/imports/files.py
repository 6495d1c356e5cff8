"""The uploaded files of imports, in chunks.

GridFS would hold 48 MB of each upload in memory, so this module stores each chunk at once.
"""

from collections.abc import Iterator
from typing import BinaryIO

from bson import ObjectId
from mongoengine import BinaryField, ObjectIdField, QuerySet, StringField

from documents.errors import Unusable
from documents.organization import Organization
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META

MAX_FILE_BYTES = 200 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
TOO_LARGE = "The file is too large"


class FileChunk(Document):
    """A part of an uploaded file. Its ID has the file's ID and the number of the part."""

    id = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    data = BinaryField(required=True)

    meta = {"collection": "import_chunks", "auto_create_index": False, **OWNED_META}

    @classmethod
    def of(cls, organization_id: ObjectId, file_id: ObjectId) -> QuerySet:
        """Return the parts of a file, in order."""
        first, after = _build_id(file_id, 0), f"{file_id}."  # "." comes after "-"
        return cls.objects(organization_id=organization_id, id__gte=first, id__lt=after).order_by(
            "id"
        )


def store_file(organization_id: ObjectId, file_id: ObjectId, source: BinaryIO) -> int:
    """Store a stream. Return its size in bytes.

    An interrupted upload leaves chunks, which `drop_file` deletes.

    Raises:
        Unusable: the file is too large.
        NotFound: the organization is in deletion.
    """
    size = number = 0
    while data := source.read(CHUNK_BYTES):
        # A slow upload can last longer than a deletion waits for other requests.
        Organization.check_not_deleting(organization_id)
        size += len(data)
        if size > MAX_FILE_BYTES:
            raise Unusable(TOO_LARGE)
        new = FileChunk(id=_build_id(file_id, number), organization_id=organization_id, data=data)
        new.save(force_insert=True)
        number += 1
    return size


def copy_file(
    organization_id: ObjectId, file_id: ObjectId | None, size: int, target: BinaryIO
) -> Iterator[None]:
    """Copy a stored file, and pause after each chunk.

    Raises:
        Unusable: the file was deleted.
    """
    if file_id is not None:
        for chunk in FileChunk.of(organization_id, file_id).no_cache():
            target.write(chunk.data)
            yield
    if target.tell() != size:
        raise Unusable("The file was deleted. Upload it again")
    target.flush()


def drop_file(organization_id: ObjectId, file_id: ObjectId) -> None:
    """Delete a stored file, and what an interrupted upload left of it."""
    FileChunk.of(organization_id, file_id).delete()


def _build_id(file_id: ObjectId, number: int) -> str:
    return f"{file_id}-{number:06}"
