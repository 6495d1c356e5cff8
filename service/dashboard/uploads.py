"""Forms with a file. The fields come first, so that a file is stored only after their check."""

from collections.abc import Callable
from typing import BinaryIO, TypeVar, cast

import falcon
from falcon.media.multipart import MultipartForm, MultipartFormHandler, MultipartParseError

from documents.errors import Unusable
from documents.imports.files import MAX_FILE_BYTES
from service.api.parsing import bad_request
from service.dashboard.form_tokens import require_token
from service.dashboard.forms import UNREADABLE, Form
from service.dashboard.presentation.language import marked

FILE_FIELD = "file"
MAX_PARTS = 10
MAX_FIELD_BYTES = 1000
MAX_FRAME_BYTES = 64 * 1024  # of fields and part headers
TOO_LARGE = marked("The file is too large. Upload at most 200 MB, or compress it with gzip.")
NO_FILE = marked("Choose a file that is not empty, then upload it.")
INTERRUPTED = marked("The upload was interrupted. Upload the file again.")

T = TypeVar("T")
# Stores a file, and returns what it stored. Arguments: the fields, the file's name, its content.
Store = Callable[[Form, str, BinaryIO], T]


def read_upload(req: falcon.Request, store: Store[T], discard: Callable[[T], None]) -> T:
    """Store the file of a form.

    Args:
        discard: deletes a stored file if the rest of the form is missing.

    Raises:
        falcon.HTTPError: the form has no file, is not readable or has expired.
    """
    stored: list[T] = []
    try:
        _read_parts(req, lambda *part: stored.append(store(*part)))
        if not stored:
            raise bad_request(NO_FILE)
    except BaseException as error:
        for one in stored:
            discard(one)
        _explain(error)
        raise
    return stored[0]


def _read_parts(req: falcon.Request, store: Callable[[Form, str, BinaryIO], None]) -> None:
    pairs: list[tuple[str, str]] = []
    is_stored = False
    for part in _open_form(req):
        if is_stored:
            raise bad_request(UNREADABLE)
        if part.name != FILE_FIELD:
            pairs.append((part.name or "", part.get_text() or ""))
            continue
        sent = Form(pairs)
        require_token(req, sent)
        if part.filename:  # a browser sends an empty name without a file
            store(sent, part.filename, cast("BinaryIO", part.stream))
            is_stored = True


def _open_form(req: falcon.Request) -> MultipartForm:
    content_type = req.content_type or ""
    if content_type.split(";")[0].strip().lower() != falcon.MEDIA_MULTIPART:
        raise falcon.HTTPUnsupportedMediaType(description=UNREADABLE)
    if req.content_length is None:
        raise bad_request(UNREADABLE)
    if req.content_length > MAX_FILE_BYTES + MAX_FRAME_BYTES:
        raise falcon.HTTPContentTooLarge(description=TOO_LARGE)
    handler = MultipartFormHandler()
    handler.parse_options.max_body_part_count = MAX_PARTS
    handler.parse_options.max_body_part_buffer_size = MAX_FIELD_BYTES
    return handler.deserialize(req.env["wsgi.input"], content_type, req.content_length)


def _explain(error: BaseException) -> None:
    """Replace errors whose text is not the dashboard's."""
    if isinstance(error, Unusable):
        raise falcon.HTTPContentTooLarge(description=TOO_LARGE) from None
    if isinstance(error, OSError):
        raise bad_request(INTERRUPTED) from None
    if isinstance(error, MultipartParseError | falcon.HTTPInvalidHeader):
        raise bad_request(UNREADABLE) from None
