"""The uploaded files of imports, in GridFS."""

from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from bson import ObjectId
from gridfs import GridFSBucket, NoFile
from mongoengine import get_db

from documents.errors import Unusable

MAX_FILE_BYTES = 200 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
BUCKET_NAME = "import_files"
TOO_LARGE = "The file is too large"


def store_file(file_id: ObjectId, source: BinaryIO) -> int:
    """Store a stream. Return its size in bytes.

    An interrupted upload leaves chunks, which `drop_file` removes.

    Raises:
        Unusable: the file is too large.
    """
    size = 0
    with _open_bucket().open_upload_stream_with_id(
        file_id, str(file_id), chunk_size_bytes=CHUNK_BYTES
    ) as target:
        while piece := source.read(CHUNK_BYTES):
            size += len(piece)
            if size > MAX_FILE_BYTES:
                target.abort()
                raise Unusable(TOO_LARGE)
            target.write(piece)
    return size


def copy_file(file_id: ObjectId, target: BinaryIO) -> Iterator[None]:
    """Copy a stored file, and pause after each piece.

    Raises:
        Unusable: the file was deleted.
    """
    try:
        with _open_bucket().open_download_stream(file_id) as source:
            while piece := source.read(CHUNK_BYTES):
                target.write(piece)
                yield
    except NoFile:
        raise Unusable("The file was deleted. Upload it again") from None
    target.flush()


def drop_file(file_id: ObjectId) -> None:
    """Delete a stored file, and what an interrupted upload left of it."""
    with suppress(NoFile):
        _open_bucket().delete(file_id)


def _open_bucket() -> GridFSBucket:
    return GridFSBucket(get_db(), BUCKET_NAME)
